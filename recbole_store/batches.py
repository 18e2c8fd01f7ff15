"""Batches of rows of similar length: what is padded is computed for nothing."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from recbole.data.interaction import cat_interactions
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


class AroundLoader:
    """What RecBole's trainer asks of a dataloader, from one whose batches are made into others."""

    def __init__(self, loader):
        self.loader, self.shuffle = loader, loader.shuffle

    @property
    def sampler(self):
        return self.loader.sampler

    def __len__(self) -> int:
        return len(self.loader)


class SimilarLengths(AroundLoader):
    """A RecBole dataloader whose batches hold rows of similar length.

    Args:
        loader: yields Interactions, in random order; each row comes as often as there.
        length_field: field with a row's length.
    """

    def __init__(self, loader, length_field: str):
        super().__init__(loader)
        self.length_field = length_field

    def __iter__(self) -> Iterator:
        pool = []
        for batch in self.loader:
            pool.append(batch)
            if len(pool) == POOL:
                yield from self._regrouped(pool)
                pool = []
        if pool:
            yield from self._regrouped(pool)

    def _regrouped(self, pool: list) -> Iterator:
        rows = cat_interactions(pool)
        for batch in similar_lengths(rows[self.length_field], len(pool[0])):
            yield rows[batch]
