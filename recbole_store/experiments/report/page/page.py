"""The whole report as one HTML file that loads nothing from anywhere."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import jinja2
from markupsafe import Markup

from recbole_store.data.item_titles import ItemTitles, read_item_titles
from recbole_store.errors import InputError
from recbole_store.experiments.report.page import about
from recbole_store.experiments.report.page.chapter import Chapter
from recbole_store.experiments.report.page.examples import branches, cards
from recbole_store.experiments.report.tables.layout import Table, as_html, breakable
from recbole_store.experiments.results.examples import Examples, examples_path, read_examples
from recbole_store.experiments.results.glossary import terms
from recbole_store.experiments.results.groups import by_label, comparable_groups, title_of
from recbole_store.experiments.results.kept_run import KeptRun
from recbole_store.experiments.results.results_folder import result_path
from recbole_store.settings.descriptions import described

SHOWN_MODELS = 6  # lists of a user side by side


def chapters_of(runs: list[KeptRun], trials: dict[str, list[Table]]) -> list[Chapter]:
    """One for each data set and protocol; a data set's trials stand in its first."""
    groups, left, slugs, found = comparable_groups(runs), dict(trials), set(), []
    for group in groups:
        title = title_of(group, groups)
        slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "data"
        slug = slug if slug not in slugs else f"{slug}-{len(slugs)}"
        slugs.add(slug)
        found.append(Chapter(group, title, slug, left.pop(group[0].run.dataset, [])))
    return found


def examples_of(chapter: Chapter, folder: Path, broken: list[str]) -> dict[str, Examples]:
    """Label -> what its first seed with examples kept; of each model the best label that has."""
    found: dict[str, Examples] = {}
    for label in sorted((s.label for s in chapter.every), key=lambda x: x != chapter.reference):
        models = [other.partition(":")[0] for other in found]
        for kept in by_label(chapter.runs)[label] if label.partition(":")[0] not in models else []:
            try:
                one = read_examples(examples_path(result_path(folder, kept.run)))
            except InputError as error:
                broken.append(str(error))
                continue
            if one is not None:
                found[label] = one
                break
    return found


def looked_at(
    chapter: Chapter, folder: Path, data_path: Path, images: str | None, broken: list[str]
) -> dict:
    """The chapter's cards and trees, and what is known of their items."""
    found = examples_of(chapter, folder, broken)
    shown = [one for one in found.values() for one in (one.histories, one.lists, one.items)]
    raw_ids = {raw_id for values in shown for raw_id in values.ravel().tolist()}
    raw_ids |= {target for one in found.values() for target in one.targets.tolist()}
    dataset, titles = chapter.runs[0].run.dataset, ItemTitles()
    try:
        titles = read_item_titles(data_path, dataset, raw_ids - {""}, images)
    except InputError as error:
        broken.append(f"{error} Items are shown by their ids.")
    trees = [(label, branches(one.items, one.codes)) for label, one in found.items()]
    return {
        "cards": cards(dict(list(found.items())[:SHOWN_MODELS])),
        "trees": [(label, nodes) for label, nodes in trees if nodes],
        "known": titles,
    }


def page(
    runs: list[KeptRun],
    made: str,
    folder: Path,
    data_path: Path,
    trials: dict[str, list[Table]],
    images: str | None = None,
    broken: list[str] | None = None,
) -> str:
    """The report.

    Args:
        made: the day on which it is made, as shown at its end.
        folder: the results folder, where examples lie.
        data_path: folder of the data sets, for the titles of items.
        trials: data set -> its tables.
        images: column with the addresses of the items' images, which the page then loads.
        broken: takes a sentence on each file that is left out; what is in it is shown.
    """
    broken = [] if broken is None else broken
    chapters = chapters_of(runs, trials)
    looks = [looked_at(chapter, folder, data_path, images, broken) for chapter in chapters]
    every = [summary for chapter in chapters for summary in chapter.every]
    files = resources.files("recbole_store.experiments.report.page")
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {"table": as_html, "breakable": breakable}
    skeleton = environment.from_string((files / "page.html").read_text(encoding="utf-8"))
    html = skeleton.render(
        title=f"Recommenders on {', '.join(dict.fromkeys(kept.run.dataset for kept in runs))}",
        made=made,
        chapters=list(zip(chapters, looks, strict=True)),
        models=described(list(dict.fromkeys(summary.label for summary in every))),
        conditions=about.condition_tables(runs),
        runs=about.run_table(runs),
        terms=terms({metric.partition("@")[0] for s in every for _, metric in s.figures}),
        css=Markup((files / "page.css").read_text(encoding="utf-8")),
        image_sources="https: http:" if images else "data:",
        left_out=broken,
    )
    return html.lstrip() + "\n"


def write_page(text: str, out: Path) -> None:
    """Write the report; a file that is there is replaced once the new one is whole."""
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = out.with_name(out.name + ".unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(out)
