"""What sets an item apart beside its codes: the LLM's dense tokens, and a vector of its own.

Codes say which of a few thousand clusters an item is in, but little of what sets it apart there.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_store.generator.like_items import LikeItems, take_vectors

SHARED = 2  # vectors of the shared table that make an item's own
_BLOCK = 2**16  # items at a time, where all are asked for


class ItemVectors(nn.Module):
    """Item -> vector [D]: its text's point, projected, plus a small vector of its own.

    A large catalogue's own vectors are hashed: each is the sum of two rows of a shared table, and
    hardly any two items have both rows in common. A table with a row an item would be trained in
    every step as a whole, and the optimizer keeps it three times.

    Args:
        n_items: with padding.
        n_components: P, width of the items' points.
        width: D.
        own_dropout: probability that an item goes without its own vector, while training, so that
            its text alone must do.
        n_shared: rows of the shared table; None: each item has a row.

    Attributes:
        own: the table with a row an item; None where they are hashed.
        shared, rows: else the shared table, and which rows an item takes, int32 [n_items, SHARED].
    """

    def __init__(
        self,
        n_items: int,
        n_components: int,
        width: int,
        own_dropout: float,
        n_shared: int | None = None,
    ):
        super().__init__()
        self.of_text = nn.Linear(n_components, width, bias=False)
        self.own: nn.Embedding | None = None
        self.shared: nn.Embedding | None = None
        if n_shared is None:
            table = self.own = nn.Embedding(n_items, width)
        else:
            table = self.shared = nn.Embedding(n_shared, width)
            self.register_buffer("rows", hashed_rows(n_items, n_shared))
        self.own_dropout = own_dropout
        for weight in (self.of_text.weight, table.weight):
            nn.init.normal_(weight, std=0.02)

    def forward(self, points: Tensor, item_ids: Tensor | None = None) -> Tensor:
        """Vectors [..., D] of items [...]; of all items, [n_items, D], without ``item_ids``.

        Args:
            points: what is known of all items' texts, [n_items, P].
        """
        own = self.own_vectors(item_ids)
        if item_ids is not None:
            points = points[item_ids]
        if self.training and self.own_dropout > 0:
            own = own * (torch.rand_like(own[..., :1]) >= self.own_dropout)
        return self.of_text(points) + own

    def own_vectors(self, item_ids: Tensor | None = None) -> Tensor:
        """Own vectors [..., D] of items [...]; of all items without ``item_ids``."""
        if self.own is not None:
            return self.own.weight if item_ids is None else self.own(item_ids)
        rows = self.rows if item_ids is None else self.rows[item_ids]
        return self.shared(rows).sum(-2) * SHARED**-0.5  # as long as those of a table

    @torch.no_grad()
    def likeness(self, points: Tensor, item_ids: Tensor) -> Tensor:
        """Cosine of each item's vector to all items', [N, n_items]; 0 for and with padding.

        Args:
            points: as above.
            item_ids: int64 [N].
        """
        if len(points) <= _BLOCK:
            unit = F.normalize(self(points), dim=-1)
            unit[0] = 0.0
            return unit[item_ids] @ unit.T
        wanted = self.unit(points, item_ids)
        every = torch.arange(len(points), device=points.device)
        return torch.cat([wanted @ self.unit(points, i).T for i in every.split(_BLOCK)], dim=1)

    def unit(self, points: Tensor, item_ids: Tensor) -> Tensor:
        """Vectors of length 1, [n, D], of items [n]; padding's are 0."""
        unit = F.normalize(self(points, item_ids), dim=-1)
        return unit.masked_fill(item_ids[:, None] == 0, 0.0)

    @torch.no_grad()
    def take_from(self, new: Tensor, like: LikeItems) -> None:
        """Give items that no history had own vectors: those of the items with the nearest texts.

        Hashed, it is the rows of the item with the nearest text.

        Args:
            new: their item_ids, int64 [N].
        """
        if self.own is None:
            self.rows[new] = self.rows[like.item_ids[:, 0]]
        else:
            take_vectors(self.own.weight, new, like)

    def grow(self, n_new: int) -> None:
        """Make room for items behind all others, whose own vectors mean nothing as yet."""
        if self.own is None:
            more = hashed_rows(len(self.rows) + n_new, self.shared.num_embeddings)
            self.rows = torch.cat([self.rows, more[len(self.rows) :].to(self.rows)])
        else:
            self.own = with_more_rows(self.own, n_new)


def hashed_rows(n_items: int, n_rows: int) -> Tensor:
    """Rows of a table for each item_id, int32 [n_items, SHARED]; the same ones whenever asked.

    By SplitMix64 (Steele, Lea and Flood 2014): item_ids are neighbours, and their rows must not be.
    """
    number = np.arange(n_items * SHARED, dtype=np.uint64) + np.uint64(1)
    number *= np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        number ^= number >> np.uint64(shift)
        number *= np.uint64(factor)
    number ^= number >> np.uint64(31)
    rows = (number % np.uint64(n_rows)).astype(np.int32)
    return torch.from_numpy(rows).view(n_items, SHARED)


def with_more_rows(table: nn.Embedding, n_new: int) -> nn.Embedding:
    """The same vectors with rows of zeros behind them."""
    rows = F.pad(table.weight.detach(), (0, 0, 0, n_new))
    return nn.Embedding.from_pretrained(rows, freeze=False, padding_idx=table.padding_idx)
