"""Places of a ranked list that are kept for items nobody has had yet (TIGER, arXiv 2305.05065)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from recbole_store.generator.beam_search import Beams

Pairs = tuple[Tensor, Tensor]  # rows of a batch and item_ids, int64 [n] each


def with_reserved_places(
    search: Callable[[Pairs | None], Beams],
    n_users: int,
    warm: Tensor,
    excluded: Pairs | None,
    share: float,
) -> Beams:
    """Lists in which a share of the places is kept for cold items.

    Args:
        search: what users must not get -> their lists.
        warm: item_ids of all items but cold ones and padding.
        excluded: what users must not get anyway.
    """
    rows = torch.arange(n_users, device=warm.device).repeat_interleave(len(warm))
    pairs = (rows, warm.repeat(n_users))
    if excluded is not None:
        pairs = tuple(torch.cat(parts) for parts in zip(pairs, excluded, strict=True))
    return reserve_places(search(excluded), search(pairs), share)


def reserve_places(beams: Beams, of_cold: Beams, share: float) -> Beams:
    """Give every (1 / share)-th place of a list to the best cold item that is not before it.

    Args:
        beams: K items of the full catalogue.
        of_cold: K items of cold ones alone.

    Example: share 0.5, beams [1, 2, 3, 4], cold [8, 2] -> [1, 8, 2, 3]: place 2 goes to the
    cold item 8, and place 4 would go to 2, which is in the list already.
    """
    every = round(1 / share)
    found = torch.zeros_like(beams.item_ids)
    for place in range(1, found.size(1) + 1):  # all users at once
        sources = (of_cold, beams) if place % every == 0 else (beams,)
        items = torch.cat([source.item_ids for source in sources], 1)
        is_new = (items > 0) & ~(items[:, :, None] == found[:, None]).any(2)
        first = is_new.int().argmax(1, keepdim=True)
        found[:, place - 1] = torch.where(is_new.any(1), items.gather(1, first).squeeze(1), 0)
    # Places, not likelihoods, order such a list.
    order = -torch.arange(found.size(1), device=found.device, dtype=torch.float32)
    order = order.expand(found.shape).masked_fill(found == 0, -torch.inf)
    return Beams(found, order, torch.full_like(beams.pruned, torch.inf))
