"""Paired differences between labels, as one table a family of tests."""

from __future__ import annotations

from dataclasses import replace

from recbole_store.experiments.report.tables.label_table import RISING_SAID, named
from recbole_store.experiments.report.tables.layout import Table
from recbole_store.experiments.results.glossary import metric_name
from recbole_store.experiments.results.groups import same_users
from recbole_store.experiments.results.kept_run import KeptRun
from recbole_store.experiments.results.significance import METRIC, Pair, family_pairs

_AGAINST = {"baselines": "the other models", "variants": "its variants"}
_METHOD = (
    "Paired t-test over test users, each user's value averaged over the seeds that both have (over "
    "all where they share none). Undecided is not equal: the interval says how large a difference "
    "there may be. All pairs are in pairs.csv."
)


def pair_tables(runs: list[KeptRun], title: str) -> list[Table]:
    """A table for each family, best on validation first; none where no two labels have ranks."""
    found = family_pairs(runs)
    families = [[pair for pair in found if pair.family == name] for name in _AGAINST]
    tables = [_table(family, runs, title) for family in families if family]
    first = [replace(table, notes=[*table.notes, _METHOD]) for table in tables[:1]]
    return first + tables[1:]  # the method is told once for both


def marked(pair: Pair, label: str) -> str:
    """One of a pair's labels, with its mark."""
    return named(label, label not in pair.still_rising)


def _table(family: list[Pair], runs: list[KeptRun], title: str) -> Table:
    first = family[0]
    tests = f"{len(family)} test{'s' if len(family) > 1 else ''}"
    notes = [f"The interval covers 95%, each by itself; p is Holm's for {tests}."]
    if any(pair.still_rising for pair in family):
        notes.append(RISING_SAID)
    notes += [
        f"{kept.run} has no ranks here, and is in no pair." for kept in runs if kept.lacks_ranks
    ]
    notes += [
        f"{kept.run} was tested on other users or targets and is not paired."
        for group in same_users(runs)[1:]
        for kept in group
    ]
    header = ["against", f"{first.a} is", f"difference in {metric_name(METRIC)}", "95% interval"]
    rows = [
        [
            marked(pair, pair.b),
            pair.verdict,
            f"{pair.difference:+.4f}",
            f"{pair.low:+.4f} to {pair.high:+.4f}",
            "<0.0001" if pair.p_holm < 1e-4 else f"{pair.p_holm:.4f}",
            f"{pair.n_users}",
        ]
        for pair in family
    ]
    filtered = ", items of the history filtered" if runs[0].is_filtered else ""
    said = f"{title}: {marked(first, first.a)} against {_AGAINST[first.family]}{filtered}"
    return Table(said, [*header, "p (Holm)", "users"], rows, notes, n_text_columns=2)
