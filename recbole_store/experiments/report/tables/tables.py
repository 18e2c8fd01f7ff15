"""Runs -> the tables that a person reads."""

from __future__ import annotations

from recbole_store.experiments.report.tables.cold_table import cold_tables
from recbole_store.experiments.report.tables.label_table import curve_table, label_table
from recbole_store.experiments.report.tables.layout import Table, as_text
from recbole_store.experiments.report.tables.pair_table import pair_tables
from recbole_store.experiments.report.tables.published import published_table
from recbole_store.experiments.report.tables.slice_table import slice_table
from recbole_store.experiments.results.groups import comparable_groups, title_of
from recbole_store.experiments.results.kept_run import KeptRun


def tables(
    runs: list[KeptRun], committed: frozenset[str] = frozenset(), slices: bool = False
) -> list[Table]:
    """The tables of each data set and protocol.

    Args:
        committed: labels to mark with ``*``, as results that were not made now.
        slices: whether slices of the users have a table, too.
    """
    groups = comparable_groups(runs)
    found: list[Table] = []
    for group in groups:
        found += group_tables(group, title_of(group, groups), committed, slices)
    return found


def group_tables(
    group: list[KeptRun],
    title: str,
    committed: frozenset[str] = frozenset(),
    slices: bool = False,
) -> list[Table]:
    """The tables of runs that may be compared."""
    found = [label_table(group, title, committed)]
    if slices:
        found.append(slice_table(group, title))
    found.append(curve_table(group, title))
    found += [*pair_tables(group, title), *cold_tables(group, title)]
    if not group[0].cold_share:  # nobody else withholds these items
        found.append(published_table(group[0].run.dataset))
    return [table for table in found if table]


def console_text(runs: list[KeptRun], committed: frozenset[str] = frozenset()) -> str:
    """What a comparison prints at its end."""
    return "\n\n".join(as_text(table) for table in tables(runs, committed)) or "No results."
