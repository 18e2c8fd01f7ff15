"""Training histories without some of their items, others in each epoch.

A model that sees the same histories again and again learns them by heart, and then ranks what it
has seen behind a history instead of what goes with it. With items left out at random no history
comes twice, and an item also follows those that stand some steps before it. (Randomly cropped and
masked histories help SASRec-like models elsewhere, e.g. CL4SRec, arXiv 2010.14395.)
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from recbole.data.interaction import Interaction

from recbole_store.plugin.loaders import AroundLoader


def drop_items(rows: Interaction, share: float, length_field: str, list_suffix: str) -> Interaction:
    """Leave out each item of each history with a probability; at least one item stays.

    The rows' own targets, which stand behind their histories, stay as well. Where windows are read,
    items of a history are targets, too, and those left out are not learnt: the loss, a mean over
    all targets of whole windows, shrinks by their share, and other losses weigh more beside it.

    Args:
        rows: fields that end in ``list_suffix`` are [B, T, ...], right-padded.
        share: probability of an item to be left out, in [0, 1).
        length_field: of the histories' lengths, [B], at least 1.

    Returns:
        Other rows, with the items that stay moved together; ``rows`` is left as it is.

    Example:
        history [4, 7, 9, 0], length 3; item 7 left out -> [4, 9, 0, 0], length 2
    """
    lengths = rows[length_field]
    lists = [field for field in rows.interaction if field.endswith(list_suffix)]
    place = torch.arange(rows[lists[0]].size(1), device=lengths.device)
    chance = torch.rand(len(lengths), len(place), device=lengths.device)
    chance = chance.masked_fill(place >= lengths[:, None], -1.0)  # padding never stays
    stays = (chance >= share) | (chance == chance.amax(1, keepdim=True))
    order = stays.int().argsort(dim=1, descending=True, stable=True)  # [B, T]
    left = stays.sum(1)
    thinned = dict(rows.interaction)
    for field in lists:
        values = rows[field]
        per_item = (..., *(None,) * (values.dim() - 2))
        moved = values.gather(1, order[per_item].expand_as(values))
        thinned[field] = moved.masked_fill((place >= left[:, None])[per_item], 0)
    thinned[length_field] = left.to(lengths)
    return Interaction(thinned)


class ItemDropout(AroundLoader):
    """A RecBole dataloader whose batches lack some items of their histories; see above."""

    def __init__(self, loader, share: float, length_field: str, list_suffix: str):
        super().__init__(loader)
        self.share, self.length_field, self.list_suffix = share, length_field, list_suffix

    def __iter__(self) -> Iterator[Interaction]:
        for batch in self.loader:
            yield drop_items(batch, self.share, self.length_field, self.list_suffix)
