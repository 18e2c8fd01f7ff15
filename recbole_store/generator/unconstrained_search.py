"""Decoding without the tree of items, for the ablation: what an unconstrained generator gives."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from recbole_store.generator.beam_search import Beams, beam_search
from recbole_store.generator.step import Step


class EveryCode(NamedTuple):
    """What may follow a batch of prefixes: all codes of the level."""

    nodes: Tensor  # int64 [...], the prefix as one number
    size: int  # codes of the level

    def logits(self, logits: Tensor) -> Tensor:
        return logits

    def follow(self, parent: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
        return place, self.nodes.gather(1, parent) * self.size + place


class FreeCodes:
    """Stands for a trie in :func:`beam_search`, but lets every code follow every prefix.

    Args:
        codes: int64 [N, L], one row an item, all different.
        item_ids: int64 [N].
        sizes: codes of each level.

    Raises:
        ValueError: more code tuples than int64 can number.
    """

    def __init__(self, codes: Tensor, item_ids: Tensor, sizes: list[int]):
        self.sizes, self.n_levels = list(sizes), len(sizes)
        if math.prod(self.sizes) >= 2**63:
            raise ValueError(f"Levels of {self.sizes} codes are too many for decoding: free.")
        keys = torch.zeros_like(codes[:, 0])
        for level, size in enumerate(self.sizes):
            keys = keys * size + codes[:, level]
        self._keys, order = keys.sort()
        self._item_ids = item_ids[order]

    def children(self, level: int, nodes: Tensor) -> EveryCode:
        return EveryCode(nodes, self.sizes[level])

    def items(self, leaves: Tensor) -> Tensor:
        """item_ids of the leaves [...]; 0 where no item has these codes."""
        place = torch.searchsorted(self._keys, leaves).clamp_(max=len(self._keys) - 1)
        return torch.where(self._keys[place] == leaves, self._item_ids[place], 0)


def free_beam_search(
    step: Step, free: FreeCodes, num_beams: int, excluded: tuple[Tensor, Tensor] | None = None
) -> Beams:
    """Beam search without constraint; beams that are no item are dropped, so fewer may be left.

    Args:
        excluded: users (0 to B - 1) and item_ids that are dropped as well, int64 [n] each.
    """
    beams = beam_search(step, free, num_beams)
    items = beams.item_ids
    if excluded is not None:
        room = int(torch.cat([items.flatten(), excluded[1]]).max()) + 1
        keys = torch.arange(len(items), device=items.device)[:, None] * room + items
        items = items.masked_fill(torch.isin(keys, excluded[0] * room + excluded[1]), 0)
    log_probs = beams.log_probs.masked_fill(items == 0, -torch.inf)
    log_probs, order = log_probs.sort(dim=1, descending=True, stable=True)
    # What was left out is not known item by item: never certain.
    never = torch.full_like(beams.pruned, torch.inf)
    return Beams(items.gather(1, order), log_probs, never)
