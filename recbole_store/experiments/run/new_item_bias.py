"""How far new items are raised in a ranking, so that they are seen at a stated loss of known ones.

A model that has never seen an item chosen ranks it below most others. One number, added to the
scores of all new items, trades known items' places for theirs; no target of a new item is needed
to choose it, only validation users whose target is known.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

MOST_LOSS = 0.03  # of known targets' Recall@10
HIGHEST = 16.0  # of log-probabilities: nothing but new items
STEPS = 14  # halvings, at most: scores may be log-probabilities, or cosines that differ by .01


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


def choose_bias(recall: Callable[[float], float], before: float, n_users: int) -> float:
    """The highest bias at which known items lose no more than MOST_LOSS.

    Args:
        recall: bias -> Recall@10 of known targets, once new items have joined; it falls.
        before: the same before they joined.
        n_users: of whom it is the mean: closer than one of them to the limit none can come.

    Example: recall falls from .100 by .001 with each unit of bias, before .101 -> about 2.03
    """
    low, high = 0.0, HIGHEST
    allowed = (1 - MOST_LOSS) * before
    kept = recall(low)
    for _ in range(STEPS):
        if kept < allowed + 1 / n_users:
            break
        middle = (low + high) / 2
        found = recall(middle)
        if found >= allowed:
            low, kept = middle, found
        else:
            high = middle
    return low


def can_be_raised(model) -> bool:
    """Whether new items mean something to a model, and it ranks by scores of all items."""
    if not hasattr(model, "admit_new_items"):
        return False
    return hasattr(model, "new_item_bias") or not hasattr(model, "recommend")


def raised(model, cold: Tensor):
    """What takes ``new_item_bias``: the model itself, or a stand-in that adds it."""
    return model if hasattr(model, "new_item_bias") else RaisesNewItems(model, cold)
