"""What stands behind the table of labels: slices of the users, the lists, the semantic IDs."""

from __future__ import annotations

from recbole_store.experiments.report.tables.label_table import named
from recbole_store.experiments.report.tables.layout import Table
from recbole_store.experiments.report.tables.slice_table import slice_table
from recbole_store.experiments.results.glossary import LISTS, SEMANTIC_IDS, metric_name
from recbole_store.experiments.results.kept_run import KeptRun
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
        slice_table(runs, title),
        _figures(every, f"{title}: recommended lists", {m: (own, m) for m in of_lists}),
        _figures(every, f"{title}: semantic IDs", {m: ("", m) for m in of_runs}),
    ]
    return [table for table in found if table]


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
