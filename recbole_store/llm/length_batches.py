"""Batches of rows of similar length: what is padded is computed for nothing."""

from __future__ import annotations

import torch
from torch import Tensor

POOL = 16  # batches that are sorted by length among themselves; more would spare little more


def similar_lengths(lengths: Tensor, batch_size: int, rows: Tensor | None = None) -> list[Tensor]:
    """Rows in batches, each of rows of similar length, in random order.

    Rows are sorted within pools of :data:`POOL` batches, so a shuffled order stays random but for
    the company a row is in.

    Args:
        lengths: [N], of rows in random order.
        rows: what stands for them in the batches, [N]; None: 0 to N - 1.

    Example: lengths [9, 1, 8, 2], batch_size 2 -> [[1, 3], [2, 0]] or [[2, 0], [1, 3]]
    """
    rows = torch.arange(len(lengths)) if rows is None else rows
    batches = []
    for pool in torch.arange(len(lengths)).split(POOL * batch_size):
        by_length = pool[torch.argsort(lengths[pool], stable=True)]
        parts = by_length.split(batch_size)
        batches += [rows[parts[i]] for i in torch.randperm(len(parts)).tolist()]
    return batches


# Texts of similar length that the LLM reads at once: enough for full use of the cores, and few
# enough that the longest of them pads little.
TEXTS_PER_PASS = 32


def length_groups(lengths: Tensor) -> list[Tensor]:
    """Rows [B] in groups of similar length, which the LLM reads one after the other."""
    return list(torch.argsort(lengths).split(TEXTS_PER_PASS))
