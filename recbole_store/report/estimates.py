"""Figures per user from the ranks of their targets, and what can be said of their mean."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from recbole_store.comparison import rank_metrics

Z95 = 1.959964  # 97.5% quantile of the normal distribution


class Interval(NamedTuple):
    """A mean over users and half the width of its 95% interval."""

    mean: float
    half_width: float


def per_user(metric: str, ranks: np.ndarray) -> np.ndarray | None:
    """A metric of every user with one target.

    Args:
        metric: lower case with cut-off, such as ``ndcg@10``.
        ranks: int [..., U] rank of the target from 1; 0 where it was not found.

    Returns:
        float [..., U]; None for a metric that does not follow from the rank alone.

    Example:
        "ndcg@10", [1, 3, 11, 0] -> [1.0, 0.5, 0.0, 0.0]
    """
    name, _, cutoff = metric.partition("@")
    if name not in rank_metrics.PER_USER or not cutoff.isdigit():
        return None
    return rank_metrics.per_user(ranks, metric)


def interval(values: np.ndarray) -> Interval | None:
    """Mean of independent users' values [U] with its 95% interval, by the normal distribution.

    Returns None for fewer than two users.
    """
    if len(values) < 2:
        return None
    error = float(np.std(values, ddof=1)) / len(values) ** 0.5
    return Interval(float(np.mean(values)), Z95 * error)
