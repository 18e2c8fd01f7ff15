"""Items that score best by an inner product, of a catalogue too large for a matrix of its scores.

A pass over all items, block by block, keeps a short list a user, exact but for the rounding of the
rows; what is listed is then scored anew in fp32. An index that does not look at every item was
measured beside it (tests/benchmarks/large.py).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

SHORT_LIST = 256  # items of a user, at least; four times as many as are asked for, at least
_BLOCK = 2**16  # items at a time
_GROUPS_OF = 16  # of a block's items: only those of the best groups are sorted

Pairs = tuple[Tensor, Tensor]  # rows of a batch and item_ids, int64 [n] each


class BlockIndex:
    """Rows of items, kept for one pass after another.

    Args:
        item_ids: of the catalogue, int64 [N], ascending.
        rows_of: item_ids [n] -> rows [n, W], fp32.
        dtype: that the rows are kept and multiplied in. In bfloat16 they are half as large and
            several times as fast, where the hardware has it.
    """

    def __init__(self, item_ids: Tensor, rows_of: Callable[[Tensor], Tensor], dtype: torch.dtype):
        self.item_ids, self.dtype, self.block_size = item_ids, dtype, _BLOCK
        self.blocks = [rows_of(part).to(dtype) for part in item_ids.split(_BLOCK)]

    def holds(self, item_ids: Tensor) -> Tensor:
        """bool [...]: which items are in the catalogue."""
        place = torch.searchsorted(self.item_ids, item_ids).clamp(max=len(self.item_ids) - 1)
        return self.item_ids[place] == item_ids

    def best(self, queries: Tensor, n: int, excluded: Pairs | None = None) -> Tensor:
        """item_ids [B, min(n, N)] of the largest inner products, best first; 0 where none is left.

        Args:
            queries: [B, W].
            excluded: what users must not get.
        """
        queries, size = queries.to(self.dtype), self.block_size
        bounds = torch.arange(len(self.blocks) + 1, device=queries.device) * size
        if excluded is not None:
            rows, items = excluded
            held = self.holds(items)
            places, order = torch.searchsorted(self.item_ids, items[held]).sort()
            rows, cuts = rows[held][order], torch.searchsorted(places, bounds).tolist()
        found = []
        for number, block in enumerate(self.blocks):
            scores = queries @ block.T
            if excluded is not None:
                part = slice(cuts[number], cuts[number + 1])
                scores[rows[part], places[part] - number * size] = -torch.inf
            best, at = _top(scores, n)
            found.append((best, at + number * size))
        scores, places = (torch.cat(parts, dim=1) for parts in zip(*found, strict=True))
        best, order = scores.topk(min(n, scores.size(1)))
        items = self.item_ids[places.gather(1, order)]
        return items.masked_fill(best == -torch.inf, 0)


def _top(scores: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """The best n of each row [B, m] and their places: sorted among the groups with the best one."""
    size = -(-scores.size(1) // _GROUPS_OF)
    if size <= n:
        return scores.topk(min(n, scores.size(1)))
    scores = F.pad(scores, (0, size * _GROUPS_OF - scores.size(1)), value=-torch.inf)
    # A group is every size-th item, so that the largest of each is a pass over whole rows.
    groups = scores.unflatten(1, (_GROUPS_OF, size)).amax(1).topk(n, sorted=False).indices
    members = torch.arange(_GROUPS_OF, device=scores.device)[:, None] * size
    places = (groups[:, None] + members).flatten(1)
    best, order = scores.gather(1, places).topk(n)
    return best, places.gather(1, order)


def entries(matrix, item_ids: Tensor) -> Tensor:
    """Entries of SciPy's CSR [B, n_items] at some items of each row [B, R], fp32 [B, R]."""
    columns = item_ids.flatten().tolist()  # arrays of torch's memory are none that SciPy takes
    rows = np.arange(len(item_ids)).repeat(item_ids.size(1))
    found = torch.from_numpy(np.asarray(matrix[rows, columns], dtype=np.float32))
    return found.view(item_ids.shape).to(item_ids.device)


class ListedScores:
    """Scores of the items of a large catalogue, up to a number a user that no ranking depends on.

    Args:
        index: of the same rows.
        rows_of: item_ids [n] -> rows [n, W], fp32.
        queries: [B, W].
        company: what few items gain beside the inner product, SciPy's CSR [B, n_items]; None:
            nothing.
    """

    def __init__(
        self, index: BlockIndex, rows_of: Callable[[Tensor], Tensor], queries: Tensor, company=None
    ):
        self.index, self.rows_of, self.queries, self.company = index, rows_of, queries, company

    @property
    def bounds_others(self) -> bool:
        """Whether what is not among the best is certainly no better than the last of them."""
        return self.index.dtype == torch.float32 and self.company is None

    def of(self, item_ids: Tensor) -> Tensor:
        """Of given items, fp32 [B, R]; -inf for padding and what is not in the catalogue."""
        rows = self.rows_of(item_ids.flatten()).unflatten(0, item_ids.shape)
        scores = torch.bmm(rows, self.queries[..., None]).squeeze(-1)
        if self.company is not None:
            scores = scores + entries(self.company, item_ids)
        return scores.masked_fill(~self.index.holds(item_ids), -torch.inf)

    def best(self, k: int, excluded: Pairs | None) -> tuple[Tensor, Tensor]:
        """Scores and item_ids of the best k items, [B, k] each; of fewer, where fewer are there.

        Args:
            excluded: rows and item_ids that users must not get.
        """
        n = max(SHORT_LIST, 4 * k)
        items = self.index.best(self.queries, n, excluded)
        if self.company is not None:
            items = torch.cat([items, self._gaining(n, items, excluded)], dim=1)
        scores = self.of(items)
        best, order = scores.topk(min(k, scores.size(1)))
        return best, items.gather(1, order)

    def _gaining(self, n: int, listed: Tensor, excluded: Pairs | None) -> Tensor:
        """item_ids [B, <= n] that gain most and are not listed yet; 0 where there are no more."""
        matrix = self.company
        most = min(int(np.diff(matrix.indptr).max(initial=0)), n)
        found = np.zeros((matrix.shape[0], most), dtype=np.int64)
        for user in range(matrix.shape[0]):
            part = slice(matrix.indptr[user], matrix.indptr[user + 1])
            order = np.argsort(-matrix.data[part], kind="stable")[:most]
            found[user, : len(order)] = matrix.indices[part][order]
        items = torch.from_numpy(found).to(listed.device)
        items = items.masked_fill((items[:, :, None] == listed[:, None]).any(2), 0)
        if excluded is not None:
            users = torch.arange(len(items), device=items.device)[:, None]
            size = matrix.shape[1]
            is_excluded = torch.isin(users * size + items, excluded[0] * size + excluded[1])
            items = items.masked_fill(is_excluded, 0)
        return items
