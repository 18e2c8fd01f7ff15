"""The catalogue: how it is covered, its semantic IDs, and a map of its items."""

from __future__ import annotations

import numpy as np

from recbole_store.experiments.report.page import figures, item_map
from recbole_store.experiments.report.page.blocks import (
    Beside,
    Block,
    Cell,
    Chart,
    Charts,
    Paragraph,
    Section,
    Table,
    missing,
)
from recbole_store.experiments.report.page.examples import ItemNames
from recbole_store.experiments.report.page.formats import metric_name, of_metric
from recbole_store.experiments.report.page.glossary import LISTS, SEARCH
from recbole_store.experiments.report.page.subject import Subject
from recbole_store.experiments.results.run_key import Run

# The section on speed has them, or they are no figure of the catalogue.
ELSEWHERE = ("fit_s", "test_s", "epochs", "epoch_s", "valid_s", "total_s", "tokenizer_s")
ELSEWHERE += ("parameters", "trained_parameters", "peak_memory_gb", "converged")
ELSEWHERE += ("tokenizer_cached",)
DROPPED = ("retokenized_same",)  # in old result files; it has no meaning any more
SHOWN_CODES = 12


def catalogue(subject: Subject) -> Section:
    """Metrics of the lists and of the semantic IDs, beyond accuracy."""
    own = f"{subject.own_filter}/all"
    of_all = subject.data.metrics(own)
    of_lists = [m for m in of_all if m.partition("@")[0] in LISTS]
    of_search = [m for m in of_all if m.partition("@")[0] in SEARCH]
    of_runs = [m for m in subject.data.metrics("") if m not in (*ELSEWHERE, *DROPPED)]
    blocks: list[Block] = [
        _table(subject, f"{subject.slug}-{name}", caption, metrics, part)
        for name, caption, metrics, part in (
            ("lists", f"Recommended lists, {subject.own_filter}", of_lists, own),
            ("search", f"Beam search by codes alone, {subject.own_filter}", of_search, own),
            ("semantic-ids", "Semantic IDs", of_runs, ""),
        )
        if metrics
    ]
    said = missing("results.csv has no figures on coverage or on semantic IDs of these runs.")
    return Section(f"{subject.slug}-catalogue", "Catalogue and semantic IDs", blocks or [said])


def _table(subject: Subject, table_id: str, caption: str, metrics: list[str], part: str) -> Table:
    rows = [
        [Cell(label)]
        + [Cell(of_metric(metric, subject.mean(label, metric, part))) for metric in metrics]
        for label in subject.labels
        if any(subject.mean(label, metric, part) is not None for metric in metrics)
    ]
    note = subject.fewer_seeds(metrics[0], part)
    return Table(table_id, caption, ["model", *map(metric_name, metrics)], rows, note=note)


def mapped_runs(subject: Subject) -> list[Run]:
    """One run of each model with semantic IDs: its defaults' first seed, if it has them."""
    chosen: dict[str, Run] = {}
    for label in sorted(subject.labels, key=lambda label: ":" in label):  # stable: best first
        for run in subject.data.of(label):
            if run.file("items.npz"):
                chosen.setdefault(run.result["model"], run)
    return list(chosen.values())


def maps(subject: Subject, names: ItemNames) -> Section:
    """t-SNE of the items' dense vectors, coloured by their first code."""
    title = "Map of the items"
    blocks: list[Block] = []
    for run in mapped_runs(subject):
        blocks += _map(subject, run, names)
    if not blocks:
        said = missing(f"No map: {why_no_items(subject)}")
        return Section(f"{subject.slug}-map", title, [said])
    said = (
        "t-SNE of the dense vectors behind the semantic IDs, coloured by the first code. Near "
        "points are alike; distances between groups mean little."
    )
    return Section(f"{subject.slug}-map", title, [Paragraph(said), *blocks])


def why_no_items(subject: Subject) -> str:
    """One sentence on why no run has items.npz."""
    tokenized = [run for run in subject.data.runs if "store" in run.result]
    if not tokenized:
        return "no model of this data set has semantic IDs."
    gone = [run for run in tokenized if run.folder is None]
    if len(gone) == len(tokenized):
        return "the run folders of the models with semantic IDs are gone."
    return "the run folders of the models with semantic IDs have no items.npz."


def _map(subject: Subject, run: Run, names: ItemNames) -> list[Block]:
    items = run.arrays("items.npz")
    n_items = len(items["points"])
    if n_items < item_map.FEWEST_ITEMS:
        return [missing(f"{run.label} has {n_items} items, too few for a map.")]
    chosen = item_map.chosen_items(n_items)
    first_codes = items["semantic_ids"][:, 0]
    drawn = figures.item_map(
        item_map.in_the_plane(items["points"][chosen]),
        first_codes[chosen],
        [names.title(str(raw_id)) for raw_id in items["raw_ids"][chosen]],
        [" ".join(map(str, codes)) for codes in items["semantic_ids"][chosen].tolist()],
    )
    table = Table(
        f"{subject.slug}-map-{run.label.lower()}-codes".replace(":", "-"),
        f"{run.label}: the largest groups of items with one first code",
        ["first code", "items", "items nearest to the group's mean"],
        _groups(items, first_codes, names),
        note=f"{len(np.unique(first_codes))} first codes in all.",
        wide=True,
    )
    sample = f" a random {len(chosen):,} of" if len(chosen) < n_items else ""
    said = f"{run.label}, seed {run.seed}:{sample} {n_items:,} items by first code"
    return [Beside(table, Charts([Chart(f"{table.id}-chart", said, drawn, table.id, height=480)]))]


def _groups(items: dict, first_codes: np.ndarray, names: ItemNames) -> list[list[Cell]]:
    codes, sizes = np.unique(first_codes, return_counts=True)
    rows = []
    for n in np.argsort(-sizes, kind="stable")[:SHOWN_CODES]:
        members = np.flatnonzero(first_codes == codes[n])
        points = items["points"][members]
        distances = np.linalg.norm(points - points.mean(axis=0), axis=1)
        near = members[np.argsort(distances, kind="stable")[:3]]
        titles = [names.title(str(raw_id)) for raw_id in items["raw_ids"][near]]
        rows.append(
            [Cell(str(codes[n])), Cell(f"{sizes[n]:,}"), Cell("\n".join(titles), foreign=True)]
        )
    return rows
