"""Test users in slices: by their target's popularity, their history's length, and the day."""

from __future__ import annotations

import math

import numpy as np

from recbole_store.data.popularity import popularity_bounds

DEFINITIONS = {
    "target": (
        "items sorted by their number of training interactions: head are the fewest items that "
        "make up a third of all, mid the next third, tail the rest, and targets that were never in "
        "training; items as frequent as the last one of a slice belong to it as well"
    ),
    "history": (
        "thirds of the test users by the number of items before the target; users with as many as "
        "the last one of a third belong to it as well"
    ),
    "time": (
        "same day: the target has the date (UTC) of the item before it, so where times are days "
        "the order of the two is the file's; later day: all others"
    ),
}


def target_slices(target_counts: np.ndarray, bounds: tuple[int, int]) -> dict[str, np.ndarray]:
    """Slice -> bool [U] of the users whose target is in it.

    Example: target_counts [9, 0, 3], bounds (5, 3) -> head [1, 0, 0], mid [0, 0, 1], tail [0, 1, 0]
    """
    counts, (head, mid) = np.asarray(target_counts), bounds
    return {
        "target=head": counts >= head,
        "target=mid": (counts < head) & (counts >= mid),
        "target=tail": counts < mid,
    }


def history_bounds(history_lengths: np.ndarray) -> tuple[int, int]:
    """The greatest lengths of a short and of a medium history.

    Example: lengths [4, 2, 9, 3, 5, 7] -> (3, 5)
    """
    lengths = np.sort(np.asarray(history_lengths))
    third = len(lengths) / 3
    return int(lengths[math.ceil(third) - 1]), int(lengths[math.ceil(2 * third) - 1])


def history_slices(history_lengths: np.ndarray, bounds: tuple[int, int]) -> dict[str, np.ndarray]:
    """Slice -> bool [U] of the users whose history is in it.

    Example: lengths [4, 2, 9], bounds (3, 5) -> short [0, 1, 0], medium [1, 0, 0], long [0, 0, 1]
    """
    lengths, (short, medium) = np.asarray(history_lengths), bounds
    return {
        "history=short": lengths <= short,
        "history=medium": (lengths > short) & (lengths <= medium),
        "history=long": lengths > medium,
    }


def user_slices(
    target_counts: np.ndarray,
    history_lengths: np.ndarray,
    item_counts: np.ndarray,
    same_day: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Every slice of the test users that is not empty, ``all`` first.

    Args:
        same_day: whether the target has the date of the item before it; None: nothing is known.
    """
    masks = {"all": np.ones(len(target_counts), dtype=bool)}
    masks |= target_slices(target_counts, popularity_bounds(item_counts))
    masks |= history_slices(history_lengths, history_bounds(history_lengths))
    if same_day is not None:
        is_same = np.asarray(same_day).astype(bool)
        masks |= {"time=same day": is_same, "time=later day": ~is_same}
    return {name: mask for name, mask in masks.items() if mask.any()}
