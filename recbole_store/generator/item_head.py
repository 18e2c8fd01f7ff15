"""All items scored at once, by the LLM's state behind a history and the items' dense tokens.

Codes say which of a few thousand clusters an item is in, but little of what sets it apart there.
The same LLM's dense tokens do, so a second head compares its state behind a history with every
item's dense tokens and a small vector of its own; its score is fused with the codes'. (Scores
of IDs and of text, added up, beat either in EnsRec, arXiv 2512.17820.)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recbole_store.generator.beam_search import Beams


class ItemHead(nn.Module):
    """State [H] and item -> score; D is the head's width, P that of the items' points.

    Args:
        n_items: with padding.
        n_components: P.
        hidden_size: H.
        width: D.
        own_dropout: probability that an item is scored without its own vector, while training, so
            that its text alone must do; new items have nothing else.
        cold_items: item_ids of those, int64.
    """

    def __init__(
        self,
        n_items: int,
        n_components: int,
        hidden_size: int,
        width: int,
        own_dropout: float,
        cold_items: Tensor,
    ):
        super().__init__()
        self.norm = nn.LayerNorm(hidden_size)
        self.query = nn.Linear(hidden_size, width)
        self.of_text = nn.Linear(n_components, width, bias=False)
        self.own = nn.Embedding(n_items, width)
        self.own_dropout = own_dropout
        has_own = torch.ones(n_items, 1)
        has_own[cold_items] = 0.0
        self.register_buffer("has_own", has_own, persistent=False)
        for weight in (self.query.weight, self.of_text.weight, self.own.weight):
            nn.init.normal_(weight, std=0.02)

    def forward(self, states: Tensor, points: Tensor, hide_cold: bool) -> Tensor:
        """Logits of all items [..., n_items], -inf for padding and, if hidden, for cold items.

        Args:
            states: [..., H].
            points: what is known of the items' texts, [n_items, P].
        """
        has_own = self.has_own
        if self.training and self.own_dropout > 0:
            has_own = has_own * (torch.rand_like(has_own) >= self.own_dropout)
        vectors = self.of_text(points) + self.own.weight * has_own
        logits = self.query(self.norm(states.float())) @ vectors.T
        hidden = (self.has_own[:, 0] == 0) & hide_cold
        hidden[0] = True
        return logits.masked_fill(hidden, -torch.inf)


def fuse(beams: Beams, others: Beams, by_item: Tensor, weight: float) -> Beams:
    """Rank items found by codes and items found by the item head, by both scores.

    Args:
        beams: K items with the log-probabilities of their codes.
        others: as many that the item head likes best, with the log-probabilities of their codes.
        by_item: the item head's log-probabilities, [B, n_items]; -inf for items that a user must
            not get.
        weight: share of the item head in the fused log-probability, in [0, 1].

    Returns:
        The best K of both; ``pruned`` is inf, as an item outside both might be better.
    """
    again = (others.item_ids[:, :, None] == beams.item_ids[:, None]).any(2)
    items = torch.cat([beams.item_ids, others.item_ids.masked_fill(again, 0)], 1)
    by_codes = torch.cat([beams.log_probs, others.log_probs], 1)
    scores = (1 - weight) * by_codes + weight * by_item.gather(1, items)
    scores = scores.masked_fill(items == 0, -torch.inf)
    best, order = scores.topk(beams.item_ids.size(1))
    found = items.gather(1, order).masked_fill(best == -torch.inf, 0)
    return Beams(found, best, torch.full_like(beams.pruned, torch.inf))
