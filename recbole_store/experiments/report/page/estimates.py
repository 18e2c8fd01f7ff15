"""What can be said of a mean over users."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from recbole_store.experiments.results.rank_metrics import mean_and_error

Z95 = 1.959964  # 97.5% quantile of the normal distribution


class Estimate(NamedTuple):
    """A mean over users and its standard error."""

    mean: float
    error: float

    @property
    def half_width(self) -> float:
        """Of the 95% interval, by the normal distribution."""
        return Z95 * self.error


def estimate(values: np.ndarray) -> Estimate | None:
    """Mean of independent users' values [U] with its standard error; None for a single user."""
    if not len(values):
        return None
    mean, error = mean_and_error(values)
    return None if error is None else Estimate(mean, error)
