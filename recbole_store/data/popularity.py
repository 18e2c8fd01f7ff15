"""Head, mid and tail: items by how often they occur in training."""

from __future__ import annotations

import numpy as np


def popularity_bounds(item_counts: np.ndarray) -> tuple[int, int]:
    """The least training counts of a head and of a mid item.

    Args:
        item_counts: int [n_items] training interactions of each item; entry 0 is the padding.

    Example:
        counts [0, 5, 1, 3, 1, 2], 12 in all: item 1 makes up a third (5 of at least 4), items 1
        and 3 two thirds (8) -> (5, 3)
    """
    counts = np.sort(np.asarray(item_counts)[1:])[::-1]
    reached = np.cumsum(counts)
    if not len(counts) or reached[-1] == 0:
        return 1, 1
    head, mid = (int(counts[np.searchsorted(reached * 3, part * reached[-1])]) for part in (1, 2))
    return head, mid
