"""What sets an item apart beside its codes: the LLM's dense tokens, and a vector of its own.

Codes say which of a few thousand clusters an item is in, but little of what sets it apart there.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ItemVectors(nn.Module):
    """Item -> vector [D]: its text's point, projected, plus a small vector of its own.

    Args:
        n_items: with padding.
        n_components: P, width of the items' points.
        width: D.
        own_dropout: probability that an item goes without its own vector, while training, so that
            its text alone must do; new items have nothing else.
        cold_items: item_ids of those, int64.
    """

    def __init__(
        self, n_items: int, n_components: int, width: int, own_dropout: float, cold_items: Tensor
    ):
        super().__init__()
        self.of_text = nn.Linear(n_components, width, bias=False)
        self.own = nn.Embedding(n_items, width)
        self.own_dropout = own_dropout
        has_own = torch.ones(n_items, 1)
        has_own[cold_items] = 0.0
        self.register_buffer("has_own", has_own, persistent=False)
        for weight in (self.of_text.weight, self.own.weight):
            nn.init.normal_(weight, std=0.02)

    def forward(self, points: Tensor, item_ids: Tensor | None = None) -> Tensor:
        """Vectors [..., D] of items [...]; of all items, [n_items, D], without ``item_ids``.

        Args:
            points: what is known of all items' texts, [n_items, P].
        """
        own, has_own = self.own.weight, self.has_own
        if item_ids is not None:
            points, own, has_own = points[item_ids], self.own(item_ids), has_own[item_ids]
        if self.training and self.own_dropout > 0:
            has_own = has_own * (torch.rand_like(has_own) >= self.own_dropout)
        return self.of_text(points) + own * has_own
