"""Metrics of single users from the rank of their target, equal to RecBole's evaluator.

Leave-one-out gives each user one target, so a user's metrics depend on its rank alone. Ranks count
from 1; 0 means that the target was not among the items that were ranked.
"""

from __future__ import annotations

import numpy as np


def _within(ranks: np.ndarray, k: int) -> np.ndarray:
    ranks = np.asarray(ranks)
    return (ranks >= 1) & (ranks <= k)


def recall(ranks: np.ndarray, k: int) -> np.ndarray:
    """1 where the target is among the first k. With one target this is the hit rate as well.

    Example: ranks [1, 3, 0], k 2 -> [1, 0, 0]
    """
    return _within(ranks, k).astype(float)


def ndcg(ranks: np.ndarray, k: int) -> np.ndarray:
    """1 / log2(rank + 1) where the target is among the first k, else 0; the ideal DCG is 1.

    Example: ranks [1, 3, 0], k 3 -> [1, 0.5, 0]
    """
    return _within(ranks, k) / np.log2(np.maximum(ranks, 1) + 1.0)


def mrr(ranks: np.ndarray, k: int) -> np.ndarray:
    """1 / rank where the target is among the first k, else 0.

    Example: ranks [1, 4, 0], k 4 -> [1, 0.25, 0]
    """
    return _within(ranks, k) / np.maximum(ranks, 1)


def precision(ranks: np.ndarray, k: int) -> np.ndarray:
    """Share of the first k that is the target: recall / k."""
    return recall(ranks, k) / k


PER_USER = {"recall": recall, "ndcg": ndcg, "mrr": mrr, "hit": recall, "precision": precision}


def per_user(ranks: np.ndarray, metric: str) -> np.ndarray:
    """A metric by its name with cut-off.

    Example: ranks [1, 3, 0], metric "ndcg@10" -> [1, 0.5, 0]
    """
    name, _, k = metric.partition("@")
    return PER_USER[name](ranks, int(k))


def is_by_rank(metric: str) -> bool:
    """Whether a user's value of a metric, such as ``ndcg@10``, follows from the target's rank."""
    name, _, cutoff = metric.partition("@")
    return name in PER_USER and cutoff.isdigit()


def mean_and_error(values: np.ndarray) -> tuple[float, float | None]:
    """Mean over users and its standard error, s / sqrt(n); None for a single user.

    Example: [1, 0, 1, 0] -> (0.5, 0.2887): s is 0.5774, n is 4
    """
    values = np.asarray(values, dtype=float)
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
    return float(values.mean()), error
