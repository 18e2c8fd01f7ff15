"""Paired tests: does one label rank the same test users' targets better than another?

The test is Student's paired t-test on per-user metrics, averaged over the seeds that both labels
have: a mean over several models is better than one, whatever the label. It asks about the mean
difference, which is what the tables show, and over hundreds of users the mean is as good as normal.
Wilcoxon's signed-rank test would ask another question, and drop the many users for whom both models
give 0. It compares the trained models at hand: the spread over seeds is not in it, and stands
beside it in the tables. p-values are Holm's over all pairs of a data set, for each metric and
filter by itself: NDCG@10 is the one that tables show, the others say how far it speaks for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import combinations, product

import numpy as np
from scipy import stats

from recbole_store.errors import SettingsError
from recbole_store.experiments.results.groups import (
    by_label,
    comparable_groups,
    same_users,
    unconverged,
)
from recbole_store.experiments.results.kept_run import FILTERS, KeptRun

METRIC = "ndcg@10"
METRICS = (METRIC, "recall@10", "mrr@10")
LEVEL = 0.05
PAIR_COLUMNS = ("dataset", "slice", "metric", "a", "b", "difference", "standard_error", "p")
PAIR_COLUMNS += ("n_users", "p_holm", "verdict")


@dataclass(frozen=True)
class Pair:
    """Label ``a`` against label ``b``: mean difference a - b over the same users."""

    a: str
    b: str
    difference: float
    standard_error: float
    p: float
    n_users: int
    p_holm: float = float("nan")
    verdict: str = ""


def paired_difference(a: np.ndarray, b: np.ndarray) -> tuple[float, float, float]:
    """Mean of a - b over U users, its standard error, and the two-sided p of a paired t-test.

    Example: a [1, 0, 1, 1], b [0, 0, 1, 0] -> (0.5, 0.2887, 0.1817); a equal to b -> (0, 0, 1)
    """
    difference = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    n = len(difference)
    if n < 2:
        raise SettingsError(f"A paired test needs at least two test users, not {n}.")
    mean, error = difference.mean(), difference.std(ddof=1) / np.sqrt(n)
    if error == 0:
        return float(mean), 0.0, 1.0 if mean == 0 else 0.0
    return float(mean), float(error), float(2 * stats.t.sf(abs(mean / error), df=n - 1))


def holm(p: list[float]) -> list[float]:
    """Holm's step-down correction of several p-values (Scandinavian J. of Statistics 6, 1979).

    The i-th smallest of m is multiplied by m - i + 1, and none may be below a smaller one.

    Example: [0.01, 0.04, 0.03] -> [0.03, 0.06, 0.06]
    """
    corrected, highest = [0.0] * len(p), 0.0
    for place, index in enumerate(np.argsort(p, kind="stable")):
        highest = max(highest, min(1.0, p[index] * (len(p) - place)))
        corrected[index] = highest
    return corrected


def verdict(pair: Pair, unfinished: set[str]) -> str:
    """What may be said of a pair.

    ``tie``: the difference is below two of its standard errors. ``unclear``: it is not, but among
    so many pairs one may be so by chance. None is called better than one that had not converged.
    """
    if pair.difference == 0 or abs(pair.difference) < 2 * pair.standard_error:
        return "tie"
    if pair.p_holm >= LEVEL:
        return "unclear"
    better, worse = (pair.a, pair.b) if pair.difference > 0 else (pair.b, pair.a)
    return f"no claim: {worse} had not converged" if worse in unfinished else f"{better} is better"


def mean_over_seeds(runs: list[KeptRun], slice_name: str, metric: str) -> np.ndarray | None:
    """A label's metric of each test user, averaged over its seeds; None where a run has no ranks.

    Raises:
        SettingsError: its runs were tested on different users.
    """
    per_seed = [kept.per_user(slice_name, metric) for kept in runs]
    if any(values is None for values in per_seed):
        return None
    _check_same_users(runs[0], runs[1:])
    return np.mean(per_seed, axis=0)


def _check_same_users(one: KeptRun, others: list[KeptRun]) -> None:
    for other in others:
        if other.users_digest != one.users_digest:
            raise SettingsError(
                f"{one.run} and {other.run} cannot be paired: their test users or targets differ."
            )


def pairs(runs: list[KeptRun], slice_name: str, metric: str = METRIC) -> list[Pair]:
    """Every two labels among runs of one data set; those without ranks of two users are left out.

    Raises:
        SettingsError: two runs were tested on different users.
    """
    groups = by_label(runs)
    means = {}  # by runs: most pairs of a label are of the same seeds

    def mean(own: list[KeptRun]) -> np.ndarray | None:
        key = tuple(kept.run for kept in own)
        if key not in means:
            means[key] = mean_over_seeds(own, slice_name, metric)
        return means[key]

    found = []
    for a, b in combinations(groups, 2):
        values = [mean(own) for own in common_seeds(groups[a], groups[b])]
        if any(own is None or len(own) < 2 for own in values):
            continue
        _check_same_users(groups[a][0], groups[b][:1])
        found.append(Pair(a, b, *paired_difference(*values), len(values[0])))
    corrected = holm([pair.p for pair in found])
    found = [replace(pair, p_holm=p) for pair, p in zip(found, corrected, strict=True)]
    unfinished = unconverged(groups)
    return [replace(pair, verdict=verdict(pair, unfinished)) for pair in found]


def common_seeds(a: list[KeptRun], b: list[KeptRun]) -> tuple[list[KeptRun], list[KeptRun]]:
    """The runs of two labels with the seeds that both have; all runs where they share none."""
    common = {kept.run.seed for kept in a} & {kept.run.seed for kept in b}
    if not common:
        return a, b
    return tuple([kept for kept in own if kept.run.seed in common] for own in (a, b))


def of_label(found: list[Pair], label: str) -> list[Pair]:
    """The pairs with a label, seen from it."""
    return [
        pair if pair.a == label else replace(pair, a=label, b=pair.a, difference=-pair.difference)
        for pair in found
        if label in (pair.a, pair.b)
    ]


def reference(labels: list[str]) -> str:
    """The label whose pairs are shown where there are too many for all, of labels best first.

    That of the best one's model without a variant, as variants are judged against it; the best one
    itself where there is none.

    Example: [A:x, B, A] -> A; [A:x, A:y, B] -> A:x
    """
    model = labels[0].partition(":")[0]
    return model if model in labels else labels[0]


def pair_rows(runs: list[KeptRun]) -> Iterator[list]:
    """The rows of pairs.csv: every pair that shares a protocol and its test users."""
    for group in comparable_groups(runs):
        for tested_alike in same_users(group):
            for filter_name, metric in product(FILTERS, METRICS):
                slice_name = f"{filter_name}/all"
                for pair in pairs(tested_alike, slice_name, metric):
                    values = {
                        "dataset": tested_alike[0].run.dataset,
                        "slice": slice_name,
                        "metric": metric,
                        **asdict(pair),
                    }
                    cells = (values[name] for name in PAIR_COLUMNS)
                    yield [f"{v:.6g}" if isinstance(v, float) else v for v in cells]
