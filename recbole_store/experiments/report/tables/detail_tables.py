"""What stands behind the table of labels: slices of the users, the lists, the semantic IDs."""

from __future__ import annotations

from recbole_store.experiments.report.tables.label_table import marked, named
from recbole_store.experiments.report.tables.layout import Table
from recbole_store.experiments.results.glossary import LISTS, SEMANTIC_IDS, metric_name
from recbole_store.experiments.results.kept_run import KeptRun
from recbole_store.experiments.results.protocol_file import slice_bounds
from recbole_store.experiments.results.summary import Figure, Summary, summaries

_COUNTS = ("items", "distinct", "largest_group", "dead_codes", "items_without_text")


def detail_tables(runs: list[KeptRun], title: str) -> list[Table]:
    """Those of which there are figures, under the runs' own history filter."""
    every, own = summaries(runs), runs[0].own_slice
    keys = {key for summary in every for key in summary.figures}
    of_lists = [m for part, m in keys if part == own and m.partition("@")[0] in LISTS]
    of_lists.sort(key=lambda m: (m.partition("@")[0], m.partition("@")[2].zfill(4)))
    of_runs = [m for m in SEMANTIC_IDS if ("", m) in keys]
    found = [
        _slices(runs, every, title),
        _figures(every, f"{title}: recommended lists", {m: (own, m) for m in of_lists}),
        _figures(every, f"{title}: semantic IDs", {m: ("", m) for m in of_runs}),
    ]
    return [table for table in found if table]


def _slices(runs: list[KeptRun], every: list[Summary], title: str) -> Table | None:
    """The valid metric by the target's popularity and the history's length."""
    ranked = next((kept for kept in runs if kept.arrays is not None), None)
    if ranked is None:
        return None
    own, metric = ranked.own_slice.partition("/")[0], ranked.valid_metric
    parts = [part for part in ranked.masks if part != "all"]
    columns = [marked([s.get(f"{own}/{part}", metric) for s in every], metric) for part in parts]
    rows = [
        [named(summary.label, summary.converged), *cells]
        for summary, *cells in zip(every, *columns, strict=True)
    ]
    header = ["model"]
    header += [f"{part.partition('=')[2]} ({ranked.masks[part].sum():,} users)" for part in parts]
    bounds = [f"{part.partition('=')[2]}: {said}" for part, said in slice_bounds(ranked).items()]
    note = f"By the target's training interactions and the items before it: {'; '.join(bounds)}."
    said = f"{title}: {metric_name(metric)}, {own}, by slices of the users"
    return Table(said, header, rows, [note])


def _figures(every: list[Summary], title: str, columns: dict) -> Table | None:
    """Metric -> (slice, metric) as columns, for the labels that have any."""
    rows = [
        [named(summary.label, summary.converged)]
        + [_cell(metric, summary.get(*key)) for metric, key in columns.items()]
        for summary in every
        if any(summary.get(*key) for key in columns.values())
    ]
    return Table(title, ["model", *map(metric_name, columns)], rows) if rows else None


def _cell(metric: str, figure: Figure | None) -> str:
    if figure is None:
        return "-"
    name = metric.partition("@")[0]
    if name in _COUNTS:  # means over seeds
        return f"{figure.mean:,.1f}".removesuffix(".0")
    return f"{figure.mean:,.1f}" if name == "averagepopularity" else f"{figure.mean:.4f}"
