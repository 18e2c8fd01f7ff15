"""Beams -> the dense scores [B, n_items] that RecBole ranks."""

from __future__ import annotations

import torch
from torch import Tensor

from recbole_store.generator.beam_search import Beams


def dense_scores(beams: Beams, n_items: int) -> Tensor:
    """Log-probability of each generated item; every other one below, finite and distinct.

    -inf for items that were not generated would let top-k fill up with arbitrary ids, padding
    included, and count a target that was never generated as a hit.

    Args:
        beams: item_ids and log_probs [B, K]; ids of 0 (no item) are skipped.
        n_items: with padding, so that the columns are RecBole's item_ids.

    Returns:
        fp32 [B, n_items].
    """
    found = beams.item_ids > 0
    lowest = beams.log_probs.masked_fill(~found, torch.inf).amin(1, keepdim=True)
    # Whole numbers stay distinct in fp32 up to 2^24, more items than full ranking can hold.
    below = torch.where(lowest.isfinite(), lowest, 0.0).floor()
    behind = torch.arange(1, n_items + 1, device=below.device, dtype=torch.float32)
    scores = below - behind  # the one tensor of this size
    # Ids without an item go to the padding column, which is reset afterwards.
    scores.scatter_(1, beams.item_ids, torch.where(found, beams.log_probs, -torch.inf))
    scores[:, 0] = (below - behind[-1] - 1).squeeze(1)
    return scores
