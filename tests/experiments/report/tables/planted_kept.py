"""Kept runs with planted ranks, and tables as plain texts."""

from __future__ import annotations

from planted_runs import planted_ranked, planted_result

from recbole_store.experiments.report.tables.layout import Table
from recbole_store.experiments.results.kept_run import KeptRun, condense

RANKS = [1, 3, 0, 12, 2, 7]
GOOD, BAD = [1, 2, 1, 1, 3, 1, 2, 1] * 5, [9, 0, 7, 0, 8, 9, 0, 6] * 5
RISING = {
    "converged": False,
    "curve": [{"epoch": n} | ({"valid_score": n / 100} if n % 2 else {}) for n in range(20)],
}


def planted(model="Pop", ranks=RANKS, filtered=None, users=None, **changes) -> KeptRun:
    arrays = condense(planted_ranked(ranks, filtered, users))
    return KeptRun(planted_result(ranks, filtered, model=model, **changes), arrays)


def bare(model, valid, **test) -> KeptRun:
    """A run without ranks, as of metrics that no rank gives."""
    result = planted_result(RANKS, model=model, valid=valid, test=test)
    del result["tests"]
    return KeptRun(result, None)


def rows(table: Table) -> list[list[str]]:
    """Cells as texts, without their marks."""
    return [[str(cell) for cell in row] for row in table.rows]


def column(table: Table, name: str) -> list[str]:
    return [row[table.header.index(name)] for row in rows(table)]


def marks(table: Table, name: str) -> list[str]:
    return [row[table.header.index(name)].mark for row in table.rows]
