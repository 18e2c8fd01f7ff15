"""Standard errors and intervals, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from recbole_store.experiments.report.page.estimates import estimate


def test_estimate_by_hand():
    # values 0, 0, 1, 1: deviation sqrt(1/3), standard error sqrt(1/12) = 0.288675
    found = estimate(np.array([0.0, 0.0, 1.0, 1.0]))
    assert found.mean == 0.5
    assert found.error == pytest.approx(math.sqrt(1 / 12))
    assert found.half_width == pytest.approx(1.959964 * math.sqrt(1 / 12))


def test_one_user_or_none_has_no_error():
    assert estimate(np.array([1.0])) is None
    assert estimate(np.array([])) is None


def test_intervals_cover_the_truth_about_95_times_in_100():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        found = estimate(rng.random(200))
        covered += abs(found.mean - 0.5) <= found.half_width
    assert 0.92 < covered / 400 < 0.98
