"""Figures that others published for a data set, to stand below one's own."""

from __future__ import annotations

from recbole_store.experiments.report.tables.layout import Table
from recbole_store.experiments.results.published import published_figures

_FILTERED = {True: "yes", False: "no", None: "not said"}
_NOTE = "Measured by others, under conditions that may differ; filtering alone moves figures."


def published_table(dataset: str) -> Table | None:
    """Best NDCG@10 first; None where none are known."""
    rows = [
        [e["model"], e["source"], _FILTERED[e["filtered"]]]
        + ["-" if e[m] is None else f"{e[m]:.4f}" for m in ("recall@10", "ndcg@10")]
        for e in published_figures(dataset)
    ]
    header = ["model", "from", "history filtered", "Recall@10", "NDCG@10"]
    title = f"{dataset}: published figures"
    return Table(title, header, rows, [_NOTE], n_text_columns=3) if rows else None
