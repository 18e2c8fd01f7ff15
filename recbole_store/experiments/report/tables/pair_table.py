"""Paired differences between labels, as a table."""

from __future__ import annotations

from recbole_store.experiments.report.tables.layout import Table
from recbole_store.experiments.results.groups import same_users
from recbole_store.experiments.results.kept_run import KeptRun
from recbole_store.experiments.results.significance import LEVEL, METRIC, of_label, pairs, reference
from recbole_store.experiments.results.summary import summaries

MAX_PAIRS = 21  # of seven labels; with more only those with the reference are shown


def pair_table(runs: list[KeptRun], title: str) -> Table | None:
    """One row a pair of labels, the better one on validation first.

    None where fewer than two labels have ranks.
    """
    groups = same_users(runs)
    if not groups:
        return None
    largest, *others = groups
    order = [summary.label for summary in summaries(largest)]
    largest.sort(key=lambda kept: order.index(kept.label))
    found = pairs(largest, runs[0].own_slice)
    if not found:
        return None
    notes = [
        "Paired t-test over test users, each user's value averaged over the seeds that both models "
        f"have (over all where they share none); p is Holm's for {len(found)} pairs. A difference "
        "below two of its standard errors is a tie."
    ]
    if any(pair.verdict == "unclear" for pair in found):
        notes.append(f"`unclear`: it is not, but p is not below {LEVEL}.")
    shown = found
    if len(found) > MAX_PAIRS:
        shown = of_label(found, first := reference(order))
        notes.append(f"Pairs with {first}; all are in pairs.csv.")
    notes += [
        f"{kept.run} has no ranks here, and is in no pair." for kept in runs if kept.lacks_ranks
    ]
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
