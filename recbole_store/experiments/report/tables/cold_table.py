"""Test users whose target was withheld (``cold_items``), and the others, as a table."""

from __future__ import annotations

from recbole_store.experiments.report.tables.layout import Table
from recbole_store.experiments.results.glossary import metric_name
from recbole_store.experiments.results.kept_run import KeptRun
from recbole_store.experiments.results.summary import Figure, standard_error, summaries

# Slices of recbole_store.experiments.run.evaluate_cold, as columns.
COLUMNS = {
    "warm/before": "warm, before",
    "warm/after": "warm, after",
    "cold/full": "cold, all items",
    "cold/only": "cold, among cold",
}
WAYS = {
    "": "the model",
    "/bias": "at a loss of 3%",
    "/reserved": "a tenth reserved",
    "/nearest": "nearest by text",
    "/nearest_reserved": "nearest by text, a tenth reserved",
}


def cold_tables(runs: list[KeptRun], title: str) -> list[Table]:
    """A table for each of Recall and NDCG, whichever was measured; none without withheld items."""
    runs = [kept for kept in runs if kept.result.get("cold")]
    return [_table(runs, title, metric) for metric in (_metrics(runs[0]) if runs else ())]


def _table(runs: list[KeptRun], title: str, metric: str) -> Table:
    """A row for each label and way of recommending."""
    rows = []
    newest = max(map(_rules, runs))
    for summary in summaries(runs):
        first = next(kept for kept in runs if kept.label == summary.label)
        label = summary.label if _rules(first) == newest else f"{summary.label} ‡"
        n_users = _n_users(first) if metric.startswith("recall@") else {}
        for way, said in WAYS.items():
            figures = {name: summary.get(name + way, metric) for name in COLUMNS}
            if any(figures.values()):
                cells = [_cell(found, n_users.get(name)) for name, found in figures.items()]
                rows.append([label, said, str(summary.n_seeds), *cells])
    header = ["model", "by", "draws", *COLUMNS.values()]
    cold = {kept.run.seed: kept.result["cold"] for kept in runs}
    sizes = "; ".join(
        f"draw {seed}: {own['n_items']} items, targets of {own['n_users']} users"
        for seed, own in sorted(cold.items())
    )
    notes = [
        f"Withheld: {sizes}.",
        "Users with a known target before and after cold items join the catalogue; users with a "
        "cold target, against all items and among cold items alone. At a loss of 3%: new items' "
        "scores are raised or lowered until known targets of validation lose 3% of their recall.",
    ]
    if any(_rules(kept) < newest for kept in runs):
        notes.append(
            "‡ Made by earlier rules of what becomes of new items, under which they are not made "
            "any more: the bias was chosen on the first 2,048 users of validation, and new items "
            "were like a history by what known ones are alone."
        )
    if len(cold) > 1:
        notes.append("Means over draws; in brackets their standard deviation.")
    if any("±" in cell for row in rows for cell in row):
        notes.append("± is the standard error over the users of a draw.")
    filtered = ", items of the history filtered" if runs[0].is_filtered else ""
    said = f"{title}: cold items, {metric_name(metric)}{filtered}"
    return Table(said, header, rows, notes, n_text_columns=2)


def _metrics(kept: KeptRun) -> list[str]:
    """At the cut-off of the valid metric, or at the highest where that has none (AUC).

    The valid metric itself where neither Recall nor NDCG was asked for.
    """
    known = {m for own in kept.result["cold"]["metrics"].values() for m in own}
    cutoffs = [int(k) for m in known if (k := m.partition("@")[2]).isdigit()]
    cutoff = kept.valid_metric.partition("@")[2] or max(cutoffs, default=10)
    return [m for m in (f"recall@{cutoff}", f"ndcg@{cutoff}") if m in known] or [kept.valid_metric]


def _rules(kept: KeptRun) -> int:
    """The number of what became of new items, of :mod:`recbole_store.experiments.run`."""
    return kept.result["cold"].get("rules", 1)


def _n_users(kept: KeptRun) -> dict[str, int]:
    """Slice -> its test users."""
    n_cold = kept.result["cold"]["n_users"]
    n_warm = kept.result["protocol"]["n_test"] - n_cold
    return {name: n_cold if name.startswith("cold") else n_warm for name in COLUMNS}


def _cell(figure: Figure | None, n_users: int | None) -> str:
    """Mean over draws and their spread; of one draw, a share's standard error over its users."""
    if figure is None:
        return "-"
    if figure.spread is not None:
        return f"{figure.mean:.4f} ({figure.spread:.4f})"
    if n_users is None:
        return f"{figure.mean:.4f}"
    return f"{figure.mean:.4f} ±{standard_error(figure.mean, n_users):.4f}"
