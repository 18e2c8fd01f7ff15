"""What a comparison comes to, in one sentence with its interval: losses are told as wins are."""

from __future__ import annotations

from recbole_store.experiments.report.tables.pair_table import marked
from recbole_store.experiments.results.glossary import metric_name
from recbole_store.experiments.results.kept_run import KeptRun
from recbole_store.experiments.results.significance import METRIC, Pair, family_pairs
from recbole_store.experiments.results.summary import Summary, summaries


def answer(
    runs: list[KeptRun], every: list[Summary] | None = None, pairs: list[Pair] | None = None
) -> str:
    """Of comparable runs: against the best other model on validation, and against all of them.

    Args:
        every, pairs: the runs' summaries and pairs, where they are known already.
    """
    every = summaries(runs) if every is None else every
    if runs[0].cold_share:
        return _on_new_items(runs, every)
    pairs = family_pairs(runs) if pairs is None else pairs
    family = [pair for pair in pairs if pair.family == "baselines"]
    if not family:
        metric = runs[0].valid_metric
        said = f"{every[0].label} has the highest {metric_name(metric)} on validation"
        figure = every[0].get(runs[0].own_slice, metric)
        value = f" ({figure.mean:.4f} on the test)" if figure else ""
        return f"{said}{value}; there is no other model to pair it with."
    first, n = family[0], len(family)
    other = f", the {'best' if n > 1 else 'only'} other model on validation,"
    return sentence(first, other) + (f"; {counted(family)}" if n > 1 else "") + "."


def counted(family: list[Pair]) -> str:
    """How many verdicts of each kind there are.

    Example: ``of all 6 it is ahead of 3 and cannot be told from 3``; ``it is ahead of all 11``
    """
    said = {"ahead": "is ahead of", "behind": "is behind", "undecided": "cannot be told from"}
    counts = {kind: sum(pair.verdict == kind for pair in family) for kind in said}
    parts = [f"{said[kind]} {n}" for kind, n in counts.items() if n]
    if len(parts) == 1:
        return f"it {parts[0].rpartition(' ')[0]} all {len(family)}"
    return f"of all {len(family)} it {', '.join(parts[:-1])} and {parts[-1]}"


def sentence(pair: Pair, more: str = "") -> str:
    """A pair's verdict, without the full stop.

    Where the interval leaves 0 out and the pair is undecided all the same, Holm's p says why.

    Example: ``STORE is ahead of SASRecAll on NDCG@10 by 0.0031 (95% interval 0.0012 to 0.0050),
    paired over 22,363 users``; ``A cannot be told from B on NDCG@10: -0.0030 (...)``
    """
    said = {"undecided": "cannot be told from", "ahead": "is ahead of", "behind": "is behind"}
    by = f" by {abs(pair.difference):.4f}"
    ends = [f"{end:.4f}" for end in sorted((abs(pair.low), abs(pair.high)))]
    if pair.verdict == "undecided":
        by = f": {pair.difference:+.4f}"
        ends = [f"{pair.low:+.4f}", f"{pair.high:+.4f}"]
    why = ""
    if pair.verdict == "undecided" and pair.low * pair.high > 0:
        why = f", but p is {pair.p_holm:.2f} by Holm's correction for all that is tested"
    return (
        f"{marked(pair, pair.a)} {said[pair.verdict]} {marked(pair, pair.b)}{more} "
        f"on {metric_name(METRIC)}{by} (95% interval {ends[0]} to {ends[1]}{why}), "
        f"paired over {pair.n_users:,} users"
    )


def _on_new_items(runs: list[KeptRun], every: list[Summary]) -> str:
    metric = f"recall@{runs[0].valid_metric.partition('@')[2] or 10}"
    # The bias is validation's choice.
    ways = {"cold/full/bias": " at a loss of 3%", "cold/full": ""}
    shares = []
    for summary in every:
        for way, said in ways.items():
            if figure := summary.get(way, metric):
                shares.append(f"{summary.label}{said} {figure.mean:.1%}")
                break
    said = "; ".join(shares) or "not measured"
    return f"{metric_name(metric)} of new items among all items: {said}."
