"""Slices of the test users, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from recbole_store.experiments.results.slices import (
    history_bounds,
    history_slices,
    popularity_bounds,
    target_slices,
    user_slices,
)

COUNTED = (np.array([9, 0, 3, 1, 5, 2]), np.array([4, 2, 9, 3, 5, 7]), np.array([0, 9, 3, 1, 5, 2]))


@pytest.mark.parametrize(
    ("counts", "bounds"),
    [
        ([0, 5, 1, 3, 1, 2], (5, 3)),  # 5 of 12 is a third, 5 + 3 are two
        ([0, 2, 2, 2], (2, 2)),  # all alike: all head
        ([0, 10, 1, 1], (10, 10)),  # one item has two thirds by itself
        ([0, 4, 4, 4, 0, 0], (4, 4)),
        ([0, 0, 0], (1, 1)),  # nothing was trained on: every target is tail
        ([0], (1, 1)),
        ([0, 6, 5, 4, 3, 2, 1], (5, 4)),  # 21: 6 < 7 <= 6 + 5, 11 < 14 <= 15
    ],
)
def test_popularity_bounds(counts, bounds):
    assert popularity_bounds(np.array(counts, dtype=np.uint16)) == bounds


def test_the_head_is_a_third_of_the_interactions():
    counts = np.r_[0, np.random.default_rng(0).zipf(1.7, 500).clip(max=300)]
    head, mid = popularity_bounds(counts)
    total = counts.sum()
    assert counts[counts >= head].sum() >= total / 3 > counts[counts > head].sum()
    assert counts[counts >= mid].sum() >= 2 * total / 3 > counts[counts > mid].sum()


def test_target_slices():
    found = target_slices(np.array([9, 5, 4, 3, 2, 0]), (5, 3))
    assert found["target=head"].tolist() == [1, 1, 0, 0, 0, 0]
    assert found["target=mid"].tolist() == [0, 0, 1, 1, 0, 0]
    assert found["target=tail"].tolist() == [0, 0, 0, 0, 1, 1], "never in training is tail"


@pytest.mark.parametrize(
    ("lengths", "bounds"),
    [
        ([4, 2, 9, 3, 5, 7], (3, 5)),
        ([1, 2, 3, 4], (2, 3)),
        ([5], (5, 5)),
        ([3, 3, 3, 3, 3, 8], (3, 3)),
    ],
)
def test_history_bounds(lengths, bounds):
    assert history_bounds(np.array(lengths)) == bounds


def test_history_slices():
    found = history_slices(np.array([3, 4, 5, 6]), (3, 5))
    assert found["history=short"].tolist() == [1, 0, 0, 0]
    assert found["history=medium"].tolist() == [0, 1, 1, 0]
    assert found["history=long"].tolist() == [0, 0, 0, 1]


def test_every_user_is_in_one_slice_of_each_kind_and_empty_slices_are_left_out():
    found = user_slices(np.array([5, 0, 2]), np.array([3, 3, 3]), np.array([0, 5, 1, 3, 1, 2]))
    assert set(found) == {"all", "target=head", "target=tail", "history=short"}
    for kind in ("target=", "history="):
        masks = [mask for name, mask in found.items() if name.startswith(kind)]
        assert (np.sum(masks, axis=0) == 1).all()


def test_the_day_is_a_slice_where_it_is_known():
    known = user_slices(*COUNTED, same_day=np.array([1, 0, 0, 1, 0, 0], dtype=np.uint8))
    assert known["time=same day"].tolist() == [True, False, False, True, False, False]
    assert (known["time=later day"] == ~known["time=same day"]).all()
    assert not any(name.startswith("time") for name in user_slices(*COUNTED))
