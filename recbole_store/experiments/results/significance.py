"""Paired tests: does one label rank the same test users' targets better than another?

The test is Student's paired t-test on per-user metrics, averaged over the seeds that both labels
have: a mean over several models is better than one, whatever the label. It asks about the mean
difference, which is what the tables show, and over hundreds of users the mean is as good as normal.
Wilcoxon's signed-rank test would ask another question, and drop the many users for whom both models
give 0. It compares the trained models at hand: the spread over seeds is not in it, and stands
beside it in the tables.

What is tested is named beforehand, :data:`FAMILIES`; p-values are Holm's within a family, for each
metric and filter by itself: NDCG@10 is the one that tables show, the others say how far it speaks
for them. A verdict goes by them alone, and a loss is told as a win is. Of other pairs the
difference and its interval are kept, and nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations, product

import numpy as np
from scipy import stats

from recbole_store.errors import SettingsError
from recbole_store.experiments.results.groups import (
    by_label,
    by_validation,
    comparable_groups,
    same_users,
    still_rising,
)
from recbole_store.experiments.results.kept_run import FILTERS, KeptRun

OURS = "STORE"
METRIC = "ndcg@10"
METRICS = (METRIC, "recall@10", "mrr@10")
LEVEL = 0.05
COVERED = 0.95  # by an interval
FAMILIES = {
    "baselines": f"{OURS} against each other model",
    "variants": f"{OURS} against each variant of it",
}
PAIR_COLUMNS = ("dataset", "slice", "metric", "family", "a", "b", "difference", "low", "high", "p")
PAIR_COLUMNS += ("n_users", "p_holm", "verdict", "still_rising")


@dataclass(frozen=True)
class Pair:
    """Label ``a`` against label ``b``: mean difference a - b over the same users.

    Attributes:
        family: a key of FAMILIES, seen from ``a``; "" for a pair that is in none.
        p_holm, verdict: None and "" for such a pair.
        still_rising: those of the two whose budget ended at their best evaluation.
    """

    a: str
    b: str
    difference: float
    standard_error: float
    p: float
    n_users: int
    family: str = ""
    p_holm: float | None = None
    verdict: str = ""
    still_rising: tuple[str, ...] = ()

    @property
    def low(self) -> float:
        """The lower end of the difference's 95% interval, by itself."""
        return self.difference - self._half_width

    @property
    def high(self) -> float:
        """The upper end."""
        return self.difference + self._half_width

    @property
    def _half_width(self) -> float:
        return float(stats.t.ppf((1 + COVERED) / 2, self.n_users - 1) * self.standard_error)


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


def verdict(difference: float, p_holm: float) -> str:
    """What may be said of a pair of a family, seen from ``a``: ahead, behind or undecided.

    Undecided is not equal: the interval says how large a difference there may be, either way.
    """
    if p_holm >= LEVEL:
        return "undecided"
    return "ahead" if difference > 0 else "behind"


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


def reference(labels: list[str]) -> str:
    """The label that the families are seen from, of labels best on validation first.

    STORE where it is there, else its best variant; without any, the best label's model, or the best
    label itself where that model is none.

    Example: [A:x, STORE:y, STORE:z] -> STORE:y; [A:x, B, A] -> A; [A:x, A:y, B] -> A:x
    """
    model = OURS if any(_model(label) == OURS for label in labels) else _model(labels[0])
    own = [label for label in labels if _model(label) == model]
    return model if model in own else own[0]


def _model(label: str) -> str:
    return label.partition(":")[0]


def pairs(runs: list[KeptRun], slice_name: str, metric: str = METRIC) -> list[Pair]:
    """Every two labels among runs of one data set, those of the families first.

    Those without ranks of two users are left out.

    Raises:
        SettingsError: two runs were tested on different users.
    """
    groups, order = by_label(runs), by_validation(runs)
    first = reference(order)
    means = {}  # by runs: most pairs of a label are of the same seeds

    def mean(own: list[KeptRun]) -> np.ndarray | None:
        key = tuple(kept.run for kept in own)
        if key not in means:
            means[key] = mean_over_seeds(own, slice_name, metric)
        return means[key]

    rising = still_rising(runs)
    found: dict[str, list[Pair]] = {"baselines": [], "variants": [], "": []}
    for a, b in combinations([first, *(label for label in order if label != first)], 2):
        values = [mean(own) for own in common_seeds(groups[a], groups[b])]
        if any(own is None or len(own) < 2 for own in values):
            continue
        _check_same_users(groups[a][0], groups[b][:1])
        family = ("variants" if _model(a) == _model(b) else "baselines") if a == first else ""
        pair = Pair(a, b, *paired_difference(*values), len(values[0]), family)
        marked = tuple(label for label in (a, b) if label in rising)
        found[family].append(replace(pair, still_rising=marked))
    return [*_judged(found["baselines"]), *_judged(found["variants"]), *found[""]]


def family_pairs(runs: list[KeptRun]) -> list[Pair]:
    """Those that tables show: of the largest group of the same users, under the runs' own filter.

    Args:
        runs: of one data set and protocol.
    """
    groups = same_users(runs)
    found = pairs(groups[0], runs[0].own_slice) if groups else []
    return [pair for pair in found if pair.family]


def _judged(family: list[Pair]) -> list[Pair]:
    corrected = holm([pair.p for pair in family])
    return [
        replace(pair, p_holm=p, verdict=verdict(pair.difference, p))
        for pair, p in zip(family, corrected, strict=True)
    ]


def common_seeds(a: list[KeptRun], b: list[KeptRun]) -> tuple[list[KeptRun], list[KeptRun]]:
    """The runs of two labels with the seeds that both have; all runs where they share none."""
    common = {kept.run.seed for kept in a} & {kept.run.seed for kept in b}
    if not common:
        return a, b
    return tuple([kept for kept in own if kept.run.seed in common] for own in (a, b))


def pair_rows(runs: list[KeptRun]) -> Iterator[list]:
    """The rows of pairs.csv: every pair that shares a protocol and its test users."""
    for group in comparable_groups(runs):
        for tested_alike in same_users(group):
            for filter_name, metric in product(FILTERS, METRICS):
                slice_name = f"{filter_name}/all"
                for pair in pairs(tested_alike, slice_name, metric):
                    place = {"dataset": group[0].run.dataset, "slice": slice_name, "metric": metric}
                    named = {"still_rising": " ".join(pair.still_rising)}
                    values = [
                        {**place, **named}.get(name, getattr(pair, name, None))
                        for name in PAIR_COLUMNS
                    ]
                    yield [f"{v:.6g}" if isinstance(v, float) else v for v in values]
