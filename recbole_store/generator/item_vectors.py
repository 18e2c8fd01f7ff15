"""What sets an item apart beside its codes: the LLM's dense tokens, and a vector of its own.

Codes say which of a few thousand clusters an item is in, but little of what sets it apart there.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NEIGHBOURS = 5  # of a new item
_CHUNK = 2**26  # cosines at a time


class ItemVectors(nn.Module):
    """Item -> vector [D]: its text's point, projected, plus a small vector of its own.

    Args:
        n_items: with padding.
        n_components: P, width of the items' points.
        width: D.
        own_dropout: probability that an item goes without its own vector, while training, so that
            its text alone must do.
    """

    def __init__(self, n_items: int, n_components: int, width: int, own_dropout: float):
        super().__init__()
        self.of_text = nn.Linear(n_components, width, bias=False)
        self.own = nn.Embedding(n_items, width)
        self.own_dropout = own_dropout
        for weight in (self.of_text.weight, self.own.weight):
            nn.init.normal_(weight, std=0.02)

    def forward(self, points: Tensor, item_ids: Tensor | None = None) -> Tensor:
        """Vectors [..., D] of items [...]; of all items, [n_items, D], without ``item_ids``.

        Args:
            points: what is known of all items' texts, [n_items, P].
        """
        own = self.own.weight
        if item_ids is not None:
            points, own = points[item_ids], self.own(item_ids)
        if self.training and self.own_dropout > 0:
            own = own * (torch.rand_like(own[..., :1]) >= self.own_dropout)
        return self.of_text(points) + own

    @torch.no_grad()
    def likeness(self, points: Tensor, item_ids: Tensor) -> Tensor:
        """Cosine of each item's vector to all items', [N, n_items]; 0 for and with padding.

        Args:
            points: as above.
            item_ids: int64 [N].
        """
        unit = F.normalize(self(points), dim=-1)
        unit[0] = 0.0
        return unit[item_ids] @ unit.T

    @torch.no_grad()
    def take_from_nearest(self, points: Tensor, new: Tensor, known: Tensor) -> None:
        """Give items that no history had own vectors: those of the items with the nearest texts.

        Args:
            points: what is known of all items' texts, [n_items, P].
            new: their item_ids, int64 [N].
            known: item_ids of those to learn from, int64 [M].
        """
        unit = F.normalize(points, dim=-1)
        for part in new.split(max(1, _CHUNK // len(known))):
            from_nearest(self.own.weight, part, known, unit[part] @ unit[known].T)

    def grow(self, n_new: int) -> None:
        """Make room for items behind all others, without vectors of their own as yet."""
        self.own = with_more_rows(self.own, n_new)


@torch.no_grad()
def from_nearest(
    vectors: Tensor, new: Tensor, known: Tensor, cosines: Tensor, sharpness: float = 0.0
) -> None:
    """Give items that no history had vectors, in place; nothing is trained.

    A new item gets the direction of its neighbours' mean, at their mean length: the mean itself is
    shorter, and known items would nearly always be preferred.

    Args:
        vectors: of all items, [n_items, D].
        new: item_ids, int64 [N].
        known: item_ids of those to learn from, int64 [M].
        cosines: of their texts, [N, M].
        sharpness: power of its cosine by which a neighbour counts; 0: all count the same.
    """
    likest, places = cosines.topk(min(NEIGHBOURS, len(known)))
    nearest = vectors[known[places]]
    length = nearest.norm(dim=-1).mean(1, keepdim=True)
    # Above 0, so that a text that is like none has some neighbours at least.
    weights = likest.clamp(min=1e-3)[..., None] ** sharpness
    vectors[new] = F.normalize((weights * nearest).mean(1), dim=-1) * length


def with_more_rows(table: nn.Embedding, n_new: int) -> nn.Embedding:
    """The same vectors with rows of zeros behind them."""
    rows = F.pad(table.weight.detach(), (0, 0, 0, n_new))
    return nn.Embedding.from_pretrained(rows, freeze=False, padding_idx=table.padding_idx)
