"""All items scored at once, by the LLM's state behind a history and the items' vectors.

The score is fused with the codes'. (Scores of IDs and of text, added up, beat either in EnsRec,
arXiv 2512.17820.)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recbole_store.generator.beam_search import Beams


class ItemHead(nn.Module):
    """State [H] and item vectors -> scores.

    Args:
        hidden_size: H.
        width: D, of the vectors.
    """

    def __init__(self, hidden_size: int, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(hidden_size)
        self.query = nn.Linear(hidden_size, width)
        nn.init.normal_(self.query.weight, std=0.02)

    def forward(self, states: Tensor, vectors: Tensor, is_excluded: Tensor) -> Tensor:
        """Logits of all items [..., n_items], -inf for excluded ones.

        Args:
            states: [..., H].
            vectors: [n_items, D].
            is_excluded: bool [n_items].
        """
        logits = self.query(self.norm(states.float())) @ vectors.T
        return logits.masked_fill(is_excluded, -torch.inf)


def fuse(beams: Beams, others: Beams, by_item: Tensor, weight: float) -> Beams:
    """Rank items found by codes and items found by the item head, by both scores.

    Args:
        beams: K items with the log-probabilities of their codes.
        others: as many that the item head likes best, with the log-probabilities of their codes.
        by_item: the item head's log-probabilities, [B, n_items]; -inf for items that a user must
            not get.
        weight: share of the item head in the fused log-probability, in [0, 1].

    Returns:
        The best K of both; ``pruned`` bounds all others: no item outside both lists has codes
        likelier than what beam search left out, or a better score by the item head than the last
        of ``others``.
    """
    again = (others.item_ids[:, :, None] == beams.item_ids[:, None]).any(2)
    items = torch.cat([beams.item_ids, others.item_ids.masked_fill(again, 0)], 1)
    by_codes = torch.cat([beams.log_probs, others.log_probs], 1)
    scores = (1 - weight) * by_codes + weight * by_item.gather(1, items)
    scores = scores.masked_fill(items == 0, -torch.inf)
    best, order = scores.topk(beams.item_ids.size(1))
    found = items.gather(1, order).masked_fill(best == -torch.inf, 0)
    outside = weight * by_item.gather(1, others.item_ids).amin(1)
    if weight < 1:  # 0 times an infinite bound would be no number
        outside = outside + (1 - weight) * beams.pruned
    left_over = scores.scatter(1, order, -torch.inf).amax(1)
    return Beams(found, best, torch.maximum(outside, left_over))
