"""Test users whose target was withheld (``cold_items``), and the others, as a table."""

from __future__ import annotations

from recbole_store.comparison.kept_run import KeptRun
from recbole_store.comparison.layout import Table
from recbole_store.comparison.summary import Figure, summaries

# Slices of recbole_store.cold_evaluation, as columns.
COLUMNS = {
    "warm/before": "warm, before",
    "warm/after": "warm, after",
    "cold/full": "cold, all items",
    "cold/only": "cold, among cold",
}
WAYS = {"": "the model", "/reserved": "a tenth reserved", "/nearest": "nearest by text"}


def cold_table(runs: list[KeptRun], title: str) -> Table | None:
    """A row for each label and way of recommending; None where no items were withheld."""
    runs = [kept for kept in runs if kept.result.get("cold")]
    if not runs:
        return None
    metric = f"recall@{runs[0].result['valid_metric'].partition('@')[2]}"
    rows = []
    for summary in summaries(runs):
        for way, said in WAYS.items():
            figures = [summary.get(name + way, metric) for name in COLUMNS]
            if any(figures):
                cells = [_cell(figure) for figure in figures]
                rows.append([summary.label, said, str(summary.n_seeds), *cells])
    header = ["model", "by", "draws", *COLUMNS.values()]
    cold = {kept.run.seed: kept.result["cold"] for kept in runs}
    sizes = "; ".join(
        f"draw {seed}: {own['n_items']} items, targets of {own['n_users']} users"
        for seed, own in sorted(cold.items())
    )
    notes = [
        f"Withheld: {sizes}.",
        "Users with a known target before and after cold items join the catalogue; users with a "
        "cold target, against all items and among cold items alone.",
    ]
    if len(cold) > 1:
        notes.append("Means over draws; in brackets their standard deviation.")
    return Table(f"{title}: cold items, {metric}", header, rows, notes, n_text_columns=2)


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return "-"
    return f"{figure.mean:.4f}" + (f" ({figure.spread:.4f})" if figure.spread is not None else "")
