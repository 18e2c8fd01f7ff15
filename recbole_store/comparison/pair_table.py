"""Paired differences between labels, as a table."""

from __future__ import annotations

from dataclasses import replace

from recbole_store.comparison.groups import same_users
from recbole_store.comparison.kept_run import KeptRun
from recbole_store.comparison.layout import Table
from recbole_store.comparison.significance import METRIC, Pair, pairs
from recbole_store.comparison.summary import summaries

MAX_PAIRS = 15  # of six labels; with more only pairs with the first are shown


def pair_table(runs: list[KeptRun], title: str) -> Table | None:
    """One row a pair of labels; None where fewer than two labels have ranks."""
    groups = same_users(runs)
    if not groups:
        return None
    largest, *others = groups
    slice_name = runs[0].own_slice
    found = pairs(largest, slice_name)
    if not found:
        return None
    notes = [
        "Paired t-test over test users, each user's value averaged over seeds; p is Holm's for "
        f"{len(found)} pairs. A difference below two of its standard errors is a tie."
    ]
    shown = found
    if len(found) > MAX_PAIRS:
        first = summaries(largest)[0].label
        shown = [_from(first, pair) for pair in found if first in (pair.a, pair.b)]
        notes.append(f"Pairs with {first}, the best on validation; all are in pairs.csv.")
    notes += [
        f"{kept.run} was tested on other users or targets and is not paired."
        for group in others
        for kept in group
    ]
    filtered = ", items of the history filtered" if runs[0].is_filtered else ""
    header = ["model", "against", "verdict", f"difference in {METRIC}", "p (Holm)", "users"]
    rows = [
        [
            pair.a,
            pair.b,
            pair.verdict,
            f"{pair.difference:+.4f} ±{pair.standard_error:.4f}",
            "<0.0001" if pair.p_holm < 1e-4 else f"{pair.p_holm:.4f}",
            str(pair.n_users),
        ]
        for pair in shown
    ]
    return Table(f"{title}: paired differences{filtered}", header, rows, notes, n_text_columns=3)


def _from(label: str, pair: Pair) -> Pair:
    """The same pair seen from ``label``."""
    if pair.a == label:
        return pair
    return replace(pair, a=pair.b, b=pair.a, difference=-pair.difference)
