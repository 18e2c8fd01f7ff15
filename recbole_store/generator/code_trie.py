"""The tree of existing items' codes, as sorted arrays: which codes may follow a prefix."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Children(NamedTuple):
    """What may follow each of a batch of nodes; F is the largest number of children at a level."""

    codes: Tensor  # int64 [..., F]
    nodes: Tensor  # int64 [..., F], ids at the next depth
    allowed: Tensor  # bool [..., F]; where False, code and node mean nothing but are in range


class CodeTrie:
    """Trie over semantic IDs. A node is an int: its place among the sorted prefixes of its length.

    Args:
        codes: int64 [N, L], one row an item, all different.
        item_ids: int64 [N], the item of each row.

    Attributes:
        n_levels: L.
        item: int64 [N], leaf node -> item_id.

    Raises:
        ValueError: no items, or two items with the same codes.
    """

    def __init__(self, codes: Tensor, item_ids: Tensor):
        if codes.dim() != 2 or len(codes) == 0 or len(codes) != len(item_ids):
            raise ValueError(
                f"A trie needs codes [N, L] of N >= 1 items, got {tuple(codes.shape)} and "
                f"{len(item_ids)} item ids."
            )
        n_items, self.n_levels = codes.shape
        order = torch.arange(n_items, device=codes.device)
        for level in reversed(range(self.n_levels)):
            order = order[torch.argsort(codes[order, level], stable=True)]
        codes, self.item = codes[order], item_ids[order]
        # is_new[i]: row i starts another prefix than row i - 1, at the current depth.
        is_new = torch.zeros(n_items, dtype=torch.bool, device=codes.device)
        is_new[0] = True
        starts = torch.zeros(1, dtype=torch.long, device=codes.device)  # row of each node: root
        self._first_child: list[Tensor] = []  # depth d: [nodes at d + 1] offsets into depth d + 1
        self._code: list[Tensor] = []  # depth d: code of each node at depth d + 1
        self._fan_out: list[int] = []
        for level in range(self.n_levels):
            is_new[1:] |= codes[1:, level] != codes[:-1, level]
            child_starts = is_new.nonzero().squeeze(1)
            first = torch.searchsorted(child_starts, starts)
            first = torch.cat([first, first.new_tensor([len(child_starts)])])
            self._first_child.append(first)
            self._code.append(codes[child_starts, level])
            self._fan_out.append(int(first.diff().max()))
            starts = child_starts
        if len(starts) < n_items:
            raise ValueError(
                f"Semantic IDs must be unique, but {n_items - len(starts)} of {n_items} repeat one."
            )

    def __len__(self) -> int:
        return len(self.item)

    def children(self, level: int, nodes: Tensor) -> Children:
        """What may follow prefixes of ``level`` codes.

        Args:
            nodes: int64 [...], ids at depth ``level``; 0 is the root at level 0.
        """
        first = self._first_child[level][nodes]
        count = self._first_child[level][nodes + 1] - first
        step = torch.arange(self._fan_out[level], device=nodes.device)
        allowed = step < count[..., None]
        child = first[..., None] + step.where(allowed, torch.zeros_like(step))
        return Children(self._code[level][child], child, allowed)

    def child(self, level: int, nodes: Tensor, codes: Tensor) -> Tensor:
        """Node reached from each of ``nodes`` [...] by its code [...].

        Raises:
            ValueError: if a code does not follow its prefix.
        """
        children = self.children(level, nodes)
        match = children.allowed & (children.codes == codes[..., None])
        if not bool(match.any(-1).all()):
            raise ValueError(f"Codes at level {level} that no item has behind its prefix.")
        return children.nodes.gather(-1, match.int().argmax(-1, keepdim=True)).squeeze(-1)
