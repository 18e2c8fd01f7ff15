"""The tree of existing items' codes, as sorted arrays: which codes may follow a prefix."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

# The smallest type that holds a number, so that ten million items fit: (largest number, type).
_TYPES = ((2**8, torch.uint8), (2**15, torch.int16), (2**31, torch.int32), (2**63, torch.int64))


class Children(NamedTuple):
    """What may follow each of a batch of nodes; F is the largest number of children at a level.

    A node's children are neighbours at the next depth: child f has the id ``first + f``.
    """

    codes: Tensor  # int64 [..., F], ascending; from count on they mean nothing but are in range
    first: Tensor  # int64 [...], id of the first child
    count: Tensor  # int64 [...], 1 to F

    @property
    def allowed(self) -> Tensor:
        """bool [..., F], which of ``codes`` are children."""
        place = torch.arange(self.codes.size(-1), device=self.codes.device)
        return place < self.count[..., None]


class CodeTrie:
    """Trie over semantic IDs. A node is an int: its place among the sorted prefixes of its length.

    It is built by one sort and a few passes over sorted arrays, and holds per prefix one code and
    one offset in the smallest type that fits: 8 to 16 bytes an item for four levels of 256 codes.

    Args:
        codes: int64 [N, L], one row an item, all different.
        item_ids: int64 [N], the item of each row.

    Attributes:
        n_levels: L.

    Raises:
        ValueError: no items, a negative code, or two items with the same codes.
    """

    def __init__(self, codes: Tensor, item_ids: Tensor):
        if codes.dim() != 2 or len(codes) == 0 or len(codes) != len(item_ids):
            raise ValueError(
                f"A trie needs codes [N, L] of N >= 1 items, got {tuple(codes.shape)} and "
                f"{len(item_ids)} item ids."
            )
        n_items, self.n_levels = codes.shape
        order = _sorted_order(codes)
        self._item = _compact(item_ids[order])
        # is_new[i]: row i starts another prefix than row i - 1, at the current depth.
        is_new = torch.zeros(n_items, dtype=torch.bool, device=codes.device)
        is_new[0] = True
        starts = torch.zeros(1, dtype=torch.long, device=codes.device)  # row of each node: root
        self._first_child: list[Tensor] = []  # depth d: [nodes at d + 1] offsets into depth d + 1
        self._code: list[Tensor] = []  # depth d: code of each node at depth d + 1
        self._fan_out: list[int] = []
        self._is_alone: list[Tensor] = []  # depth d: whether one item alone has the prefix
        for level in range(self.n_levels):
            code = codes[order, level]
            is_new[1:] |= code[1:] != code[:-1]
            child_starts = is_new.nonzero().squeeze(1)
            self._is_alone.append(torch.cat([starts, starts.new_tensor([n_items])]).diff() == 1)
            first = torch.searchsorted(child_starts, starts)
            first = torch.cat([first, first.new_tensor([len(child_starts)])])
            self._first_child.append(_compact(first))
            self._code.append(_compact(code[child_starts]))
            self._fan_out.append(int(first.diff().max()))
            starts = child_starts
        if len(starts) < n_items:
            raise ValueError(
                f"Semantic IDs must be unique, but {n_items - len(starts)} of {n_items} repeat one."
            )

    def __len__(self) -> int:
        return len(self._item)

    @property
    def n_bytes(self) -> int:
        """Memory of all arrays, in bytes."""
        arrays = [self._item, *self._first_child, *self._code, *self._is_alone]
        return sum(array.nbytes for array in arrays)

    def items(self, leaves: Tensor) -> Tensor:
        """Leaf nodes [...] -> item_ids, int64 [...]."""
        return self._item[leaves].long()

    def children(self, level: int, nodes: Tensor) -> Children:
        """What may follow prefixes of ``level`` codes.

        Args:
            nodes: int64 [...], ids at depth ``level``; 0 is the root at level 0.
        """
        first = self._first_child[level][nodes].long()
        count = self._first_child[level][nodes + 1].long() - first
        place = torch.arange(self._fan_out[level], device=nodes.device)
        # Behind its own children a node reads its neighbours', up to the level's last.
        child = (first[..., None] + place).clamp_(max=len(self._code[level]) - 1)
        return Children(self._code[level][child].long(), first, count)

    def is_alone(self, level: int, nodes: Tensor) -> Tensor:
        """bool [...]: whether one item alone has the prefix, so that its other codes are known."""
        return self._is_alone[level][nodes]

    def child(self, level: int, nodes: Tensor, codes: Tensor) -> Tensor:
        """Node reached from each of ``nodes`` [...] by its code [...].

        Raises:
            ValueError: if a code does not follow its prefix.
        """
        children = self.children(level, nodes)
        match = children.allowed & (children.codes == codes[..., None])
        if not bool(match.any(-1).all()):
            raise ValueError(f"Codes at level {level} that no item has behind its prefix.")
        return children.first + match.int().argmax(-1)


def _sorted_order(codes: Tensor) -> Tensor:
    """Rows of [N, L] in lexicographic order, int64 [N]."""
    lowest, highest = torch.aminmax(codes, dim=0)
    if int(lowest.min()) < 0:
        raise ValueError("Codes must not be negative.")
    sizes = (highest + 1).tolist()
    key, room = torch.zeros_like(codes[:, 0]), 1
    order = None
    for level in reversed(range(codes.size(1))):
        if room * sizes[level] >= 2**63:  # the key is full: sort by it, and go on with an empty one
            order = key.argsort() if order is None else order[key[order].argsort(stable=True)]
            key, room = torch.zeros_like(key), 1
        key = key + codes[:, level] * room
        room *= sizes[level]
    return key.argsort() if order is None else order[key[order].argsort(stable=True)]


def _compact(numbers: Tensor) -> Tensor:
    """The same numbers, none negative, in the smallest type that holds them."""
    highest = int(numbers.max())
    return numbers.to(next(dtype for above, dtype in _TYPES if highest < above))
