"""Histories of items -> the code sequences that the LLM reads, and what it has to predict."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


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


class Window(NamedTuple):
    """A batch of histories, each with its target directly behind it."""

    codes: Tensor  # int64 [B, T + 1, L]; zeros behind each row's last item
    n_targets: Tensor  # int64 [B], items to predict: all but the first

    @property
    def is_target(self) -> Tensor:
        """bool [B, T]: whether item t + 1 is real."""
        place = torch.arange(self.codes.size(1) - 1, device=self.codes.device)
        return place[None] < self.n_targets[:, None]


def with_targets(history: Tensor, lengths: Tensor, target: Tensor) -> Tensor:
    """Put each target behind its history and cut the padding that no row needs.

    Args:
        history: of items, [B, T, ...], right-padded.
        lengths: items in each history, int64 [B].
        target: [B, ...].

    Returns:
        [B, T' + 1, ...] for the longest of the histories, T'.

    Example: history [[4, 7, 0]], lengths [2], target [9] -> [[4, 7, 9]]
    """
    padding = (0, 0) * (history.dim() - 2) + (0, 1)
    rows = torch.nn.functional.pad(history[:, : int(lengths.max())], padding)
    rows[torch.arange(len(rows), device=rows.device), lengths] = target
    return rows


def make_window(history: Tensor, lengths: Tensor, target: Tensor) -> Window:
    """Windows of codes, from histories [B, T, L] and targets [B, L]; see :func:`with_targets`."""
    return Window(with_targets(history, lengths, target), lengths)


def wanted_targets(
    lengths: Tensor,
    max_items: int,
    only_last: bool,
    label: Tensor | None = None,
    earlier_labels: Tensor | None = None,
) -> Tensor:
    """Which items of a batch of windows are to be learnt.

    Labels in the data belong to single items; the label of a sampled negative, which has no list of
    labels, belongs to its row.

    Args:
        lengths: items in each history, int64 [B].
        max_items: T.
        only_last: only each row's own target counts, as rows overlap.
        label: of each row's target, [B]; above 0 it is to be learnt.
        earlier_labels: of the items of the history, [B, T].

    Returns:
        bool [B, T]: whether item t + 1 is real and wanted; the row's target is item lengths.
    """
    place = torch.arange(max_items, device=lengths.device)
    is_last = place[None] == lengths[:, None] - 1
    wanted = (place[None] < lengths[:, None]) & (is_last | (not only_last))
    if label is None:
        return wanted
    last = label[:, None] > 0
    if earlier_labels is None:
        return wanted & last
    earlier = torch.nn.functional.pad(earlier_labels[:, 1:] > 0, (0, 1))
    return wanted & torch.where(is_last, last, earlier)
