"""The tree of existing items' codes, as sorted arrays: which codes may follow a prefix."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

# Most that a level's table may take for each item of the catalogue.
TABLE_BYTES = 16

# The smallest type that holds a number, so that ten million items fit: (largest number, type).
_TYPES = ((2**8, torch.uint8), (2**15, torch.int16), (2**31, torch.int32), (2**63, torch.int64))


class ListedChildren(NamedTuple):
    """What may follow a batch of nodes, as lists of codes; F is the level's largest fan-out.

    A node's children are neighbours at the next depth: child f has the id ``first + f``.
    """

    codes: Tensor  # int64 [..., F], ascending; behind the children they mean nothing
    mask: Tensor  # fp32 [..., F], 0 for children and -inf behind them
    first: Tensor  # int64 [...], id of the first child
    count: Tensor  # int64 [...], 1 to F

    def logits(self, logits: Tensor) -> Tensor:
        """Logits of the level's codes [..., C] -> of the children [..., F], -inf for others."""
        return logits.gather(-1, self.codes) + self.mask

    def follow(self, parent: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
        """Codes and nodes [B, K] of chosen children.

        Args:
            parent: int64 [B, K], which of the nodes [B, M].
            place: int64 [B, K], which of its F children; behind the last one the last is meant.
        """
        place = place.minimum(self.count.gather(1, parent) - 1)
        codes = self.codes.flatten(1).gather(1, parent * self.codes.size(-1) + place)
        return codes, self.first.gather(1, parent) + place


class TabledChildren(NamedTuple):
    """What may follow a batch of nodes, one place for each code; F is the level's codes."""

    mask: Tensor  # fp32 [..., F], 0 for children, -inf for other codes
    child: Tensor  # int32 [nodes of the depth, F], ids at the next depth, 0 for none
    nodes: Tensor  # int64 [...]

    @property
    def codes(self) -> Tensor:
        return torch.arange(self.mask.size(-1), device=self.nodes.device).expand_as(self.mask)

    def logits(self, logits: Tensor) -> Tensor:
        return logits[..., : self.mask.size(-1)] + self.mask

    def follow(self, parent: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
        return place, self.child[self.nodes.gather(1, parent), place].long()


Children = ListedChildren | TabledChildren


class CodeTrie:
    """Trie over semantic IDs. A node is an int: its place among the sorted prefixes of its length.

    It is built by one sort and a few passes over sorted arrays, and holds per prefix one code and
    one offset in the smallest type that fits. Where a level's nodes have most of the codes as
    children, a table of nodes x codes is faster, and kept if it costs no more than TABLE_BYTES an
    item. With four levels of 256 codes an item takes 10 to 30 bytes.

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
        self._leaf: Tensor | None = None  # of each item_id, made when first asked for
        # is_new[i]: row i starts another prefix than row i - 1, at the current depth.
        is_new = torch.zeros(n_items, dtype=torch.bool, device=codes.device)
        is_new[0] = True
        starts = torch.zeros(1, dtype=torch.long, device=codes.device)  # row of each node: root
        self._first_child: list[Tensor] = []  # depth d: [nodes at d + 1] offsets into depth d + 1
        self._code: list[Tensor] = []  # depth d: code of each node at depth d + 1
        self._fan_out: list[int] = []
        self._table: list[tuple[Tensor, Tensor] | None] = []  # depth d: mask and child
        for level in range(self.n_levels):
            code = codes[order, level]
            is_new[1:] |= code[1:] != code[:-1]
            child_starts = is_new.nonzero().squeeze(1)
            first = torch.searchsorted(child_starts, starts)
            first = torch.cat([first, first.new_tensor([len(child_starts)])])
            self._first_child.append(_compact(first))
            self._code.append(_compact(code[child_starts]))
            self._fan_out.append(int(first.diff().max()))
            self._table.append(self._make_table(level, n_items))
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
        tables = [array for table in self._table if table for array in table]
        arrays = [self._item, *self._first_child, *self._code, *tables]
        return sum(array.nbytes for array in arrays)

    def items(self, leaves: Tensor) -> Tensor:
        """Leaf nodes [...] -> item_ids, int64 [...]."""
        return self._item[leaves].long()

    def leaves_of(self, item_ids: Tensor) -> Tensor:
        """The leaf of each item_id, int64 [...]; -1 for items that are not in the trie."""
        if self._leaf is None:
            items = self._item.long()
            self._leaf = torch.full((int(items.max()) + 1,), -1, device=items.device)
            self._leaf[items] = torch.arange(len(items), device=items.device)
        known = item_ids < len(self._leaf)
        return torch.where(known, self._leaf[item_ids.where(known, 0)], -1)

    def leaves_behind(self, depth: int, nodes: Tensor) -> tuple[Tensor, Tensor]:
        """Leaves behind nodes of a depth: the first one and the end, int64 [...] each."""
        first, end = nodes, nodes + 1
        for first_child in self._first_child[depth:]:
            first, end = first_child[first].long(), first_child[end].long()
        return first, end

    def children(self, level: int, nodes: Tensor) -> Children:
        """What may follow prefixes of ``level`` codes.

        Args:
            nodes: int64 [...], ids at depth ``level``; 0 is the root at level 0.
        """
        table = self._table[level]
        if table is None:
            return self._list(level, nodes)
        mask, child = table
        return TabledChildren(mask[nodes], child, nodes)

    def _list(self, level: int, nodes: Tensor) -> ListedChildren:
        first = self._first_child[level][nodes].long()
        count = self._first_child[level][nodes + 1].long() - first
        place = torch.arange(self._fan_out[level], device=nodes.device)
        # Behind its own children a node reads its neighbours', up to the level's last.
        child = (first[..., None] + place).clamp_(max=len(self._code[level]) - 1)
        codes = self._code[level].index_select(0, child.flatten()).view(child.shape).long()
        # On a CPU the logarithm of 0 and 1 is several times faster than filling under a mask.
        mask = (place < count[..., None]).float().log_()
        return ListedChildren(codes, mask, first, count)

    def _make_table(self, level: int, n_items: int) -> tuple[Tensor, Tensor] | None:
        """Which codes follow each node, and where they lead; None where lists serve better."""
        first, code = self._first_child[level].long(), self._code[level].long()
        n_nodes, n_codes = len(first) - 1, int(code.max()) + 1
        # fp32 and int32; lists as short as a quarter of the codes are as fast.
        if n_nodes * n_codes * 8 > TABLE_BYTES * n_items or self._fan_out[level] * 4 < n_codes:
            return None
        child = torch.arange(len(code), device=code.device)
        cell = torch.repeat_interleave(first.diff()).mul_(n_codes).add_(code)
        mask = torch.full((n_nodes * n_codes,), -torch.inf, device=code.device)
        mask[cell] = 0.0
        leads_to = torch.zeros(n_nodes * n_codes, dtype=torch.int32, device=code.device)
        leads_to[cell] = child.int()
        return mask.view(n_nodes, n_codes), leads_to.view(n_nodes, n_codes)


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
