"""The whole report as one HTML file that loads nothing from anywhere."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path

import jinja2
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from recbole_store.experiments.report.page.blocks import Chart, Section
from recbole_store.experiments.report.page.data import Results
from recbole_store.experiments.report.page.examples import ItemNames
from recbole_store.experiments.report.page.figures import Styles
from recbole_store.experiments.report.page.group import groups_of
from recbole_store.experiments.report.page.sections import (
    items,
    models,
    overview,
    pairs,
    protocol,
    quality,
    slices,
    training,
    users,
)
from recbole_store.experiments.report.page.subject import Subject


def slugs(names: list[str]) -> list[str]:
    """What the ids of each chapter's sections begin with.

    Example: ["ml-100k", "Amazon Beauty"] -> ["ml-100k", "amazon-beauty"]
    """
    found: list[str] = []
    for name in names:
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "data"
        found.append(slug if slug not in found else f"{slug}-{len(found)}")
    return found


def sections_of(subject: Subject) -> list[Section]:
    """All sections of one chapter, in the order in which they are read."""
    names = ItemNames(subject.data)
    return [
        protocol.protocol(subject),
        quality.results(subject),
        pairs.pairs(subject),
        slices.slices(subject),
        slices.cold(subject),
        training.curves(subject),
        training.speed(subject),
        items.catalogue(subject),
        items.maps(subject, names),
        users.users(subject, names),
    ]


def chart_json(chart: Chart) -> str:
    """A chart for a script element: no ``<`` can end the element early."""
    figure = json.loads(chart.figure.to_json())
    figure["layout"].pop("template", None)
    return json.dumps(figure, separators=(",", ":")).replace("<", "\\u003c")


def subjects_of(results: Results) -> list[Subject]:
    """The chapters: one for each data set and protocol."""
    groups = groups_of(results)
    labels = list(dict.fromkeys(label for group in groups for label in group.labels))
    styles, fixed = Styles(labels), results.protocol.get("fixed", {})
    names = slugs([group.title for group in groups])
    return [Subject(group, slug, fixed, styles) for group, slug in zip(groups, names, strict=True)]


def page(results: Results, made: str) -> str:
    """The report.

    Args:
        made: the day on which it is made, as shown in its heading.
    """
    subjects = subjects_of(results)
    terms = overview.glossary(subjects)
    labels = list(dict.fromkeys(label for subject in subjects for label in subject.labels))
    folder = resources.files("recbole_store.experiments.report.page")
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["parts"] = lambda text: re.split(r"(?<=[:_])", text)
    environment.filters["without_cutoff"] = lambda name: re.sub(r"@\d+$", "@k", name)
    environment.filters["chart_json"] = lambda chart: Markup(chart_json(chart))
    skeleton = environment.from_string((folder / "page.html").read_text(encoding="utf-8"))
    html = skeleton.render(
        title=overview.title(results),
        heading=overview.heading(results, made),
        models=models.models(labels),
        reading=overview.reading(),
        glossary=terms,
        terms=terms.blocks[0],
        subjects=[(subject, sections_of(subject)) for subject in subjects],
        styles=subjects[0].styles,
        css=_as_it_stands(folder / "page.css"),
        js=_as_it_stands(folder / "page.js"),
        plotly=Markup(get_plotlyjs()),
    )
    return html.lstrip() + "\n"  # the macros leave empty lines before the document


def _as_it_stands(file) -> Markup:
    return Markup(file.read_text(encoding="utf-8"))


def write_page(results: Results, out: Path, made: str) -> None:
    """Write the report; a file that is there is replaced once the new one is whole."""
    text = page(results, made)
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = out.with_name(out.name + ".unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(out)
