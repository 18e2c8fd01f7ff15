"""Ranked lists of a model, many histories at once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from itertools import chain
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

import recbole_store.processes.ranks as ranks
from recbole_store.model.semantic_id_model import SemanticIdModel
from recbole_store.recommender.catalogue import Catalogue
from recbole_store.recommender.histories import HistoryReader

# Numbers in one matrix of histories x items, or pairs of a history and an item not to be ranked.
MAX_PAIRS = 2**23
MAX_AT_ONCE = 4096  # histories; sorted by length among each other they need little padding


class Lists(NamedTuple):
    """Ranked items, best first."""

    items: np.ndarray  # int64 [B, k], 0 where there was no further item
    scores: np.ndarray  # fp32 [B, k]


class Ranker:
    """Ranks items behind histories, as the evaluation of the model's run does.

    Args:
        model: one of the four, on its device.
        longest: the longest list of the run's evaluation: among equal scores a shorter one might
            begin with others.

    Attributes:
        new_item_bias: what items that came after training gain in the scores of a model without
            codes; one with codes has its own.
    """

    new_item_bias = 0.0

    def __init__(self, model: nn.Module, catalogue: Catalogue, reader: HistoryReader, longest: int):
        self.model, self.catalogue, self.reader = model, catalogue, reader
        self.longest = longest

    def at_once(self, only: Tensor | None = None) -> int:
        """How many histories are ranked in one go, so that memory is bounded."""
        is_dense = not isinstance(self.model, SemanticIdModel)
        most = MAX_PAIRS // self.model.n_items if is_dense or only is not None else MAX_AT_ONCE
        return max(min(most, MAX_AT_ONCE), 1)

    @torch.no_grad()
    def rank(
        self,
        histories: list[list[int]],
        users: Sequence,
        k: int,
        exclude_seen: bool = True,
        only: Tensor | None = None,
    ) -> Lists:
        """The best k items behind each history.

        Behind an empty history, which no model has ever seen, they are the items that training had
        most often. Of several processes, all of which must ask, each ranks a share.

        Args:
            histories: item_ids, the latest last.
            users: a raw id or name of each.
            exclude_seen: whether a history's own items are left out, also those that it is too
                long for the model to read.
            only: bool [n_items], items that may be ranked; None: all.
        """
        k = min(k, len(self.catalogue))
        found = Lists(
            np.zeros((len(histories), k), dtype=np.int64),
            np.full((len(histories), k), -np.inf, dtype=np.float32),
        )
        starts = range(0, len(histories), at_once := self.at_once(only))
        parts = [
            [row for row in range(start, min(start + at_once, len(histories))) if histories[row]]
            for start in starts
        ]
        parts = [rows for rows in parts if rows]

        def best(rows: list[int]) -> tuple[np.ndarray, np.ndarray]:
            part = [histories[row] for row in rows]
            batch = self.reader.rows(part, [users[row] for row in rows])
            excluded = _excluded_pairs(part if exclude_seen else [], only, len(rows))
            return self._best(batch, excluded, k)

        if isinstance(self.model, SemanticIdModel):  # which shares out each part itself
            of_parts = [best(rows) for rows in parts]
        else:
            of_parts = ranks.all_in_turn([best(rows) for rows in ranks.mine(parts)])
        for rows, (items, scores) in zip(parts, of_parts, strict=True):
            found.items[rows, : items.shape[1]] = items
            found.scores[rows, : items.shape[1]] = scores
        empty = [row for row, items in enumerate(histories) if not items]
        if empty:
            items, scores = self._most_frequent(k, only)
            found.items[np.ix_(empty, range(len(items)))] = items
            found.scores[np.ix_(empty, range(len(items)))] = scores
        return found

    def _best(self, batch, excluded, k: int) -> tuple[np.ndarray, np.ndarray]:
        model = self.model
        if excluded is not None:
            excluded = tuple(part.to(model.device) for part in excluded)
        longest = max(k, self.longest)
        if isinstance(model, SemanticIdModel):
            with _as_wide(model, longest):
                beams = model.recommend(batch, excluded)
            items, scores = beams.item_ids[:, :k], beams.log_probs[:, :k]
        else:
            every = model.full_sort_predict(batch)
            every[:, self.catalogue.n_fitted + 1 :] += self.new_item_bias
            every[:, 0] = -torch.inf
            if excluded is not None:
                every[excluded] = -torch.inf
            scores, items = every.topk(min(longest, every.size(1)))
            items, scores = items[:, :k], scores[:, :k]
        items = items.masked_fill(scores == -torch.inf, 0)
        return items.cpu().numpy(), scores.float().cpu().numpy()

    def _most_frequent(self, k: int, only: Tensor | None) -> tuple[np.ndarray, np.ndarray]:
        counts = self.catalogue.counts.astype(np.float64) + 1
        counts[0] = 0
        if only is not None:
            counts[~only.numpy()] = 0
        items = np.argsort(-counts, kind="stable")[:k]
        items = items[counts[items] > 0]
        return items, np.log(counts[items] / counts.sum()).astype(np.float32)


@contextmanager
def _as_wide(model: SemanticIdModel, k: int):
    """Let a model's search find at least k items, if it was made for fewer."""
    before = model.num_beams, model.max_topk
    model.num_beams, model.max_topk = max(before[0], k), max(before[1], k)
    try:
        yield
    finally:
        model.num_beams, model.max_topk = before


def _excluded_pairs(
    seen: list[list[int]], only: Tensor | None, n_rows: int
) -> tuple[Tensor, Tensor] | None:
    """Rows, ascending, and item_ids that are not to be ranked; None where there are none."""
    rows = [torch.arange(len(seen)).repeat_interleave(torch.tensor([*map(len, seen)]).long())]
    items = [torch.tensor(list(chain.from_iterable(seen)), dtype=torch.long)]
    if only is not None:
        left_out = (~only).nonzero().squeeze(1)
        left_out = left_out[left_out > 0]
        rows.append(torch.arange(n_rows).repeat_interleave(len(left_out)))
        items.append(left_out.repeat(n_rows))
    rows, items = torch.cat(rows), torch.cat(items)
    if len(rows) == 0:
        return None
    size = int(items.max()) + 1
    keys = (rows * size + items).unique()  # each pair once, ascending
    return keys // size, keys % size
