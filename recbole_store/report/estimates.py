"""What can be said of a mean over users."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from recbole_store.comparison.rank_metrics import mean_and_error

Z95 = 1.959964  # 97.5% quantile of the normal distribution


class Interval(NamedTuple):
    """A mean over users and half the width of its 95% interval."""

    mean: float
    half_width: float


def interval(values: np.ndarray) -> Interval | None:
    """Mean of independent users' values [U] with its 95% interval, by the normal distribution.

    Returns None for fewer than two users.
    """
    mean, error = mean_and_error(values)
    return None if error is None else Interval(mean, Z95 * error)
