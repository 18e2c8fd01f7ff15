"""Which test users belong to a slice."""

from __future__ import annotations

import numpy as np


def slice_users(group: str, ranks: dict[str, np.ndarray]) -> np.ndarray | None:
    """Mask [U] of the users of a slice.

    Head items are the most popular ones that together make up a third of the training
    interactions, mid items the next third, with all items that are as frequent as the last one;
    short and medium histories are thirds of the users likewise.

    Args:
        group: such as ``target=head`` or ``history=short``.
        ranks: ``target_counts`` and ``history_lengths`` [U], ``item_counts`` [n_items].

    Returns:
        None where the counts that the slice needs were not kept.

    Example:
        "target=head", item_counts [0, 5, 1, 3, 1, 2], target_counts [5, 3] -> [True, False]
    """
    kind, _, name = group.partition("=")
    if kind == "history":
        # Shortest first: the bound of a class is its greatest length.
        lengths = ranks["history_lengths"].astype(int)
        first, second = _thirds(np.sort(lengths), np.ones(len(lengths)))
        return {
            "short": lengths <= first,
            "medium": (lengths > first) & (lengths <= second),
            "long": lengths > second,
        }[name]
    if "item_counts" not in ranks:
        return None
    item_counts, counts = ranks["item_counts"].astype(int), ranks["target_counts"].astype(int)
    popular = np.sort(item_counts[1:])[::-1]  # entry 0 is the padding
    first, second = _thirds(popular, popular)
    return {
        "head": counts >= first,
        "mid": (counts < first) & (counts >= second),
        "tail": counts < second,
    }[name]


def _thirds(values: np.ndarray, weights: np.ndarray) -> tuple[int, int]:
    """The values at which the weights, added up in order, reach one and two thirds."""
    reached = np.cumsum(weights) * 3
    first, second = (int(values[np.searchsorted(reached, n * weights.sum())]) for n in (1, 2))
    return first, second
