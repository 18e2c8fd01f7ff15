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
        return (self.queries(states) @ vectors.T).masked_fill(is_excluded, -torch.inf)

    def queries(self, states: Tensor) -> Tensor:
        """What is multiplied with items' vectors, [..., D], of states [..., H]."""
        return self.query(self.norm(states.float()))


class DenseScores:
    """The item head's log-probabilities of all items, -inf for those that a user must not get.

    Args:
        by_item: [B, n_items].
    """

    bounds_others = True  # what is not among the best is no better than the last of them

    def __init__(self, by_item: Tensor):
        self.by_item = by_item

    def of(self, item_ids: Tensor) -> Tensor:
        """Of given items, [B, R]."""
        return self.by_item.gather(1, item_ids)

    def best(self, k: int, excluded: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor]:
        """Scores and item_ids of the best k items, [B, k] each.

        Args:
            excluded: rows and item_ids that users must not get: from here on they have no score.
        """
        if excluded is not None:
            self.by_item[excluded] = -torch.inf
        return self.by_item.topk(min(k, self.by_item.size(1)))


def fuse(beams: Beams, others: Beams, scores, weight: float) -> Beams:
    """Rank items found by codes and items found by the item head, by both scores.

    Args:
        beams: K items with the log-probabilities of their codes.
        others: as many that the item head likes best, with the log-probabilities of their codes.
        scores: the item head's, :class:`DenseScores` or
            :class:`~recbole_store.generator.short_list.ListedScores`.
        weight: share of the item head in the fused log-probability, in [0, 1].

    Returns:
        The best K of both; ``pruned`` bounds all others: no item outside both lists has codes
        likelier than what beam search left out, or a better score by the item head than the last
        of ``others``. Where the list of ``others`` may lack some, nothing is known of them.
    """
    again = (others.item_ids[:, :, None] == beams.item_ids[:, None]).any(2)
    items = torch.cat([beams.item_ids, others.item_ids.masked_fill(again, 0)], 1)
    by_codes = torch.cat([beams.log_probs, others.log_probs], 1)
    fused = (1 - weight) * by_codes + weight * scores.of(items)
    fused = fused.masked_fill(items == 0, -torch.inf)
    best, order = fused.topk(beams.item_ids.size(1))
    found = items.gather(1, order).masked_fill(best == -torch.inf, 0)
    if not scores.bounds_others:
        return Beams(found, best, torch.full_like(beams.pruned, torch.inf))
    outside = weight * scores.of(others.item_ids).amin(1)
    if weight < 1:  # 0 times an infinite bound would be no number
        outside = outside + (1 - weight) * beams.pruned
    left_over = fused.scatter(1, order, -torch.inf).amax(1)
    return Beams(found, best, torch.maximum(outside, left_over))
