"""Histories of items -> the code sequences that the LLM reads, and what it has to predict."""

from __future__ import annotations

import numpy as np


def window_rows(user_ids: np.ndarray, max_items: int) -> np.ndarray:
    """Rows that together show every training target once, read as windows.

    RecBole's training rows are, per user and in time order, "the last max_items items -> the
    next". A row of T items and a target yields T targets when every item but the first is
    predicted from those before it; so of each user's rows the last is taken, then every
    max_items-th before it.

    Args:
        user_ids: int [n_rows]; the rows of a user ascend in time.

    Returns:
        int64 [n_windows], ascending.

    Example:
        user_ids [1, 1, 1, 1, 1, 2], max_items 2 -> [0, 2, 4, 5]
        (user 1, items a-f: row 4 is "d e -> f", row 2 "b c -> d", row 0 "a -> b")
    """
    order = np.argsort(user_ids, kind="stable")
    users = user_ids[order]
    ends = np.flatnonzero(np.append(users[1:] != users[:-1], True))
    positions = np.arange(len(users))
    rows_behind = ends[np.searchsorted(ends, positions)] - positions
    return np.sort(order[rows_behind % max_items == 0]).astype(np.int64)
