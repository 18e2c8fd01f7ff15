"""A softmax over more items than can be multiplied in every step: over the target and some drawn.

Items drawn stand for all others: each logit loses the logarithm of how often its item is expected
among those drawn (the logQ correction of Bengio and Senecal 2008, and of Yi et al., RecSys 2019,
for what a batch brings along). Without it a popular item, which is in nearly every batch, would be
pushed down for being popular.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import recbole_store.processes.ranks as ranks

# Items drawn a batch, at most half of them its own targets. A target's product with so many vectors
# of 128 takes a twentieth of what one layer of the default LLM takes for an item's three codes. Of
# fewer the gradient is noisier, and its bias, which falls with their number, larger.
HEAD_NEGATIVES = 4096


class Lot(NamedTuple):
    """Items that were drawn for a batch of windows; some of them several times.

    Attributes:
        brought: item_ids of targets of the batch, int64 [b].
        windows: which of the windows brought each, int64 [b]; -1 for one that is not at hand.
        uniform: item_ids of any items, int64 [u].
    """

    brought: Tensor
    windows: Tensor
    uniform: Tensor

    def of_windows(self, places: Tensor) -> Lot:
        """The same for those of the windows that stand at some places, int64 [n], ascending."""
        places = places.contiguous()
        at = torch.searchsorted(places, self.windows).clamp(max=len(places) - 1)
        windows = at.masked_fill(places[at] != self.windows, -1)
        return self._replace(windows=windows)


class Drawn(NamedTuple):
    """Items drawn for a batch of windows with n targets.

    Attributes:
        targets: item_ids, int64 [n].
        item_ids: int64 [M], all different.
        corrections: of the logits of each, fp32 [n, M]; -inf where it is no negative of a target.
    """

    targets: Tensor
    item_ids: Tensor
    corrections: Tensor

    def cross_entropy(self, of_targets: Tensor, of_drawn: Tensor) -> Tensor:
        """Summed over the targets.

        Args:
            of_targets: logit of each target, [n].
            of_drawn: of all that were drawn, [n, M].
        """
        logits = torch.cat([of_targets[:, None], of_drawn + self.corrections], dim=1)
        first = torch.zeros_like(self.targets)
        return F.cross_entropy(logits.float(), first, reduction="sum")


def lot_of_all(draw: Callable[[], Lot], device: torch.device) -> Lot | None:
    """What is drawn for a batch that several processes share: the same for all of them.

    It is drawn as one process would draw it; None where there is one, which draws for itself.
    """
    if ranks.world_size() == 1:
        return None
    drawn = ranks.from_first(lambda: Lot(*(part.cpu() for part in draw())))
    return Lot(*(part.to(device) for part in drawn))


class ItemSampler(nn.Module):
    """Draws items for batches of windows: targets of the batch, and any item alike.

    A target takes those of other windows alone: its own window's other targets go with its history
    and so are not drawn by their popularity.

    Args:
        counts: how often each item is a training target, [n_items].
        n_drawn: a batch.
    """

    def __init__(self, counts: Tensor, n_drawn: int = HEAD_NEGATIVES):
        super().__init__()
        self.n_drawn = n_drawn
        shares = counts.float() / counts.sum().clamp(min=1)
        self.register_buffer("shares", shares, persistent=False)

    def lot(self, items: Tensor, wanted: Tensor) -> Lot:
        """Draw by torch's generator.

        Args:
            items: windows of item_ids, [B, T + 1], right-padded by 0.
            wanted: bool [B, T]: item t + 1 is a target.
        """
        rows, places = wanted.nonzero(as_tuple=True)
        chosen = torch.randperm(len(rows), device=items.device)[: self.n_drawn // 2]
        n_uniform = self.n_drawn - len(chosen)
        uniform = torch.randint(1, len(self.shares), (n_uniform,), device=items.device)
        return Lot(items[rows[chosen], places[chosen] + 1], rows[chosen], uniform)

    def draw(
        self,
        items: Tensor,
        wanted: Tensor,
        is_known: Tensor,
        is_filtered: bool,
        lot: Lot | None = None,
    ) -> Drawn:
        """What a batch's targets are told apart from.

        Args:
            items, wanted: see :meth:`lot`.
            is_known: bool [n_items], what is a candidate at all.
            is_filtered: whether items of a target's history are none of its candidates; the target
                is one, also where the user had it before.
            lot: of a batch that these windows are a part of; None: they are drawn for alone.
        """
        brought, windows, uniform = self.lot(items, wanted) if lot is None else lot
        rows, places = wanted.nonzero(as_tuple=True)
        targets = items[rows, places + 1]
        drawn, column = torch.cat([brought, uniform]).unique(return_inverse=True)

        own = torch.zeros(len(items), len(drawn), device=items.device)  # by each window itself
        is_here = windows >= 0
        ones = torch.ones(int(is_here.sum()), device=items.device)
        of_brought = column[: len(brought)]
        own.index_put_((windows[is_here], of_brought[is_here]), ones, accumulate=True)
        times = torch.bincount(column, minlength=len(drawn)) - own
        n_others = len(brought) - own.sum(1, keepdim=True)
        expected = len(uniform) / (len(self.shares) - 1) + n_others * self.shares[drawn]
        corrections = times.log() - expected.log()  # -inf for what only the window itself brought
        corrections = corrections.masked_fill(~is_known[drawn], -torch.inf)[rows]
        is_none = drawn == targets[:, None]
        if is_filtered:
            is_none |= _in_history(items, rows, places, drawn)
        return Drawn(targets, drawn, corrections.masked_fill(is_none, -torch.inf))


def _in_history(items: Tensor, rows: Tensor, places: Tensor, drawn: Tensor) -> Tensor:
    """bool [n, M]: which of the items, ascending, stand up to a place of a row of windows."""
    column = torch.searchsorted(drawn, items).clamp(max=len(drawn) - 1)
    column = column.masked_fill(drawn[column] != items, len(drawn))  # one more, for all others
    history = column[rows, :-1]
    is_later = torch.arange(history.size(1), device=items.device) > places[:, None]
    found = torch.zeros(len(rows), len(drawn) + 1, dtype=torch.bool, device=items.device)
    return found.scatter(1, history.masked_fill(is_later, len(drawn)), True)[:, :-1]
