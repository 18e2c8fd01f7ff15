"""Which test users belong to a slice."""

from __future__ import annotations

import numpy as np

from recbole_store.comparison import slices


def slice_users(group: str, ranks: dict[str, np.ndarray]) -> np.ndarray | None:
    """Mask [U] of the users of a slice.

    Args:
        group: such as ``target=head`` or ``history=short``.
        ranks: ``target_counts`` and ``history_lengths`` [U], ``item_counts`` [n_items].

    Returns:
        None where the counts that the slice needs were not kept.

    Example:
        "target=head", item_counts [0, 5, 1, 3, 1, 2], target_counts [5, 3] -> [True, False]
    """
    if group.startswith("history="):
        lengths = ranks["history_lengths"]
        return slices.history_slices(lengths, slices.history_bounds(lengths))[group]
    if "item_counts" not in ranks:
        return None
    bounds = slices.popularity_bounds(ranks["item_counts"])
    return slices.target_slices(ranks["target_counts"], bounds)[group]
