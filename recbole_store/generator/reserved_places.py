"""Places of a ranked list that are kept for items nobody has had yet (TIGER, arXiv 2305.05065)."""

from __future__ import annotations

import torch

from recbole_store.generator.beam_search import Beams


def reserve_places(beams: Beams, of_cold: Beams, share: float) -> Beams:
    """Give every (1 / share)-th place of a list to the best cold item that is not before it.

    Args:
        beams: K items of the full catalogue.
        of_cold: K items of cold ones alone.

    Example: share 0.5, beams [1, 2, 3, 4], cold [8, 2] -> [1, 8, 2, 3]: place 2 goes to the
    cold item 8, and place 4 would go to 2, which is in the list already.
    """
    every = round(1 / share)
    rows = []
    lists = zip(beams.item_ids.tolist(), of_cold.item_ids.tolist(), strict=True)
    for items, cold in lists:
        rest, fresh, row = iter(items), iter(cold), []
        for place in range(1, len(items) + 1):
            source = fresh if place % every == 0 else rest
            item = next((i for i in source if i and i not in row), None)
            if item is None:
                item = next((i for i in rest if i not in row), 0)
            row.append(item)
        rows.append(row)
    found = torch.tensor(rows, device=beams.item_ids.device)
    # Places, not likelihoods, order such a list.
    order = -torch.arange(found.size(1), device=found.device, dtype=torch.float32)
    order = order.expand(found.shape).masked_fill(found == 0, -torch.inf)
    return Beams(found, order, torch.full_like(beams.pruned, torch.inf))
