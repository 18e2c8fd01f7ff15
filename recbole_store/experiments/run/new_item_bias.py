"""How far new items are raised in a ranking, so that they are seen at a stated loss of known ones.

A model that has never seen an item chosen ranks it below most others. One number, added to the
scores of all new items, trades known items' places for theirs; no target of a new item is needed
to choose it, only validation users whose target is known. Where new items rank too high as they
are, it is below 0.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recbole_store.experiments.run.ranked_lists import RankedLists, ranks_of_targets

MOST_LOSS = 0.03  # of known targets' Recall@10
HIGHEST = 16.0  # of log-probabilities: nothing but new items
_LESS = 1e-3  # than the bias at which the first of the users loses the target


class RaisesNewItems(nn.Module):
    """A model that scores all items, with a bias for some of them.

    Args:
        model: has ``full_sort_predict``.
        items: item_ids that gain.
    """

    def __init__(self, model, items: Tensor):
        super().__init__()
        self.model, self.items, self.new_item_bias = model, items, 0.0

    def full_sort_predict(self, interaction) -> Tensor:
        scores = self.model.full_sort_predict(interaction)
        scores[:, self.items.to(scores.device)] += self.new_item_bias
        return scores


def choose_bias(known: RankedLists, new: RankedLists, k: int, gain: float = 1.0) -> float:
    """The highest bias at which users lose no more than MOST_LOSS of their targets.

    Two lists of each user say for every bias what the list of all items holds, so a model ranks
    twice, and all of validation, where a search would have it rank again for every bias.

    Args:
        known: lists of known items alone, once new items have joined.
        new: lists of new items alone, but for the targets, which no evaluation hides; of the same
            users.
        k: items of the list that is to hold the targets.
        gain: of a new item's score by a bias of 1.

    Example: three targets, in their users' lists until new items gain 0.4, 0.1 and 2.0 more; one
    may be lost -> 0.25, between the first and the second that is
    """
    places = ranks_of_targets(known.items[:, :k], known.targets) - 1
    hit = places >= 0
    places = places[hit, None]
    of_targets = known.scores[hit].gather(1, places)
    is_target = new.items == new.targets[:, None]
    of_new = new.scores.masked_fill(is_target, -torch.inf).sort(descending=True).values
    # So many new items have to be before a target that it goes.
    of_new = of_new[hit].gather(1, k - 1 - places)
    limits = ((of_targets - of_new) / gain).squeeze(1).sort().values
    limits = limits.clamp(-HIGHEST, HIGHEST).tolist()
    n_lost = int(MOST_LOSS * len(limits))
    if n_lost == 0:
        return limits[0] - _LESS if limits else 0.0
    return (limits[n_lost - 1] + limits[n_lost]) / 2


def can_be_raised(model) -> bool:
    """Whether new items mean something to a model, and it ranks by scores of all items."""
    if not hasattr(model, "admit_new_items"):
        return False
    return hasattr(model, "new_item_bias") or not hasattr(model, "recommend")


def raised(model, cold: Tensor):
    """What takes ``new_item_bias``: the model itself, or a stand-in that adds it."""
    return model if hasattr(model, "new_item_bias") else RaisesNewItems(model, cold)


def gain_of_bias(model) -> float:
    """Of a new item's score by a bias of 1: one that a model knows counts as its heads do."""
    return model.item_head_share if hasattr(model, "new_item_bias") else 1.0
