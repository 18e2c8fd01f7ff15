"""Figures per user and intervals, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from recbole_store.report.estimates import interval, per_user


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("recall@10", [1, 1, 0, 0]),
        ("hit@3", [1, 1, 0, 0]),
        ("precision@10", [0.1, 0.1, 0, 0]),
        ("mrr@10", [1, 1 / 3, 0, 0]),
        ("ndcg@10", [1, 1 / math.log2(4), 0, 0]),
        ("ndcg@2", [1, 0, 0, 0]),
    ],
)
def test_metrics_of_single_users(metric, expected):
    assert per_user(metric, np.array([1, 3, 11, 0])) == pytest.approx(expected)


def test_several_seeds_at_once():
    ranks = np.array([[1, 0], [2, 1]], dtype=np.uint16)
    assert per_user("mrr@5", ranks) == pytest.approx(np.array([[1, 0], [0.5, 1]]))


@pytest.mark.parametrize("metric", ["itemcoverage@10", "ndcg", "ndcg@", "fit_s"])
def test_what_does_not_follow_from_a_rank(metric):
    assert per_user(metric, np.array([1])) is None


def test_interval_by_hand():
    # values 0, 0, 1, 1: deviation sqrt(1/3), standard error sqrt(1/12) = 0.288675
    found = interval(np.array([0.0, 0.0, 1.0, 1.0]))
    assert found.mean == 0.5
    assert found.half_width == pytest.approx(1.959964 * math.sqrt(1 / 12))


def test_one_user_has_no_interval():
    assert interval(np.array([1.0])) is None


def test_intervals_cover_the_truth_about_95_times_in_100():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        found = interval(rng.random(200))
        covered += abs(found.mean - 0.5) <= found.half_width
    assert 0.92 < covered / 400 < 0.98
