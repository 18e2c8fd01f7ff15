"""Which users belong to a slice, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from recbole_store.report.slice_users import slice_users

# 12 interactions: item 1 makes up a third, items 1 and 3 two thirds.
RANKS = {
    "item_counts": np.array([0, 5, 1, 3, 1, 2], dtype=np.uint16),
    "target_counts": np.array([5, 3, 2, 0], dtype=np.uint16),
    "history_lengths": np.array([4, 2, 9, 3, 5, 7], dtype=np.uint16),
}


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ("target=head", [1, 0, 0, 0]),
        ("target=mid", [0, 1, 0, 0]),
        ("target=tail", [0, 0, 1, 1]),
        ("history=short", [0, 1, 0, 1, 0, 0]),
        ("history=medium", [1, 0, 0, 0, 1, 0]),
        ("history=long", [0, 0, 1, 0, 0, 1]),
    ],
)
def test_slices(group, expected):
    assert slice_users(group, RANKS).astype(int).tolist() == expected


def test_without_the_items_counts_popularity_is_unknown():
    ranks = {name: values for name, values in RANKS.items() if name != "item_counts"}
    assert slice_users("target=head", ranks) is None
    assert slice_users("history=short", ranks) is not None


def test_every_user_is_in_one_slice_of_each_kind():
    rng = np.random.default_rng(3)
    item_counts = np.concatenate([[0], rng.zipf(1.5, 500).clip(max=60_000)])
    ranks = {
        "item_counts": item_counts.astype(np.uint16),
        "target_counts": rng.choice(item_counts[1:], 200).astype(np.uint16),
        "history_lengths": rng.integers(1, 9, 200).astype(np.uint16),
    }
    for kind, names in (("target", "head mid tail"), ("history", "short medium long")):
        total = sum(slice_users(f"{kind}={name}", ranks).astype(int) for name in names.split())
        assert (total == 1).all()
