"""STORE's heads over a catalogue beyond ``full_softmax_limit``: none looks at every item in a step.

In training each target is told apart from items drawn; in ranking a short list stands for the whole
catalogue, and what is on it or was found by the beams is scored as a small catalogue is.
"""

from __future__ import annotations

import torch
from torch import Tensor

from recbole_store.errors import SettingsError
from recbole_store.generator.short_list import BlockIndex, ListedScores
from recbole_store.llm.precision import use_bf16
from recbole_store.model.heads import AllItems, Heads, HistoryEnds, Targets
from recbole_store.tokenizer.sampled_softmax import ItemSampler, Lot

# Items up to which each has an own vector to itself, if `full_softmax_limit` is not higher: a table
# of so many rows of 128 is as large as the default LLM's layers, and its update costs as much.
OWN_ROWS = 2**16


def shared_rows(n_items: int, limit: int, collaborative_start: float | None) -> int | None:
    """Rows of the table that own vectors are hashed into; None where each item has its own.

    Args:
        n_items: without padding.
        limit: `full_softmax_limit`.

    Raises:
        SettingsError: they are hashed, but were to start from what single items are.
    """
    n_rows = max(limit, OWN_ROWS)
    if n_items <= n_rows:
        return None
    if collaborative_start:
        raise SettingsError(
            f"`collaborative_start` is {collaborative_start}, but {n_items} items share {n_rows} "
            f"own vectors: leave it out, or set `full_softmax_limit` to {n_items}, so that each "
            "item has its own."
        )
    return n_rows


class LargeCatalogue(AllItems):
    """Losses and rankings of the heads over a large catalogue.

    Args:
        counts: how often each item is a training target, [n_items].
    """

    draws_items = True

    def __init__(self, counts: Tensor):
        super().__init__()
        self.sampler = ItemSampler(counts)
        self._index: BlockIndex | None = None

    def forget(self) -> None:
        super().forget()
        self._index = None

    def losses(
        self, heads: Heads, targets: Targets, lot: Lot | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Cross-entropy of the item head and of the text head, if there is one, over all targets.

        Args:
            lot: what was drawn for the batch, see :meth:`ItemSampler.draw`.
        """
        states, items, is_target, is_known, is_filtered = targets
        drawn = self.sampler.draw(items, is_target, is_known, is_filtered, lot)
        vectors, points = heads.item_vectors, heads.points
        query = heads.item_head.queries(states)
        of_drawn = query @ vectors(points, drawn.item_ids).T
        of_targets = (query * vectors(points, drawn.targets)).sum(-1)
        by_id = drawn.cross_entropy(of_targets, of_drawn)
        if heads.text_head is None:
            return by_id, None
        tower = heads.text_head
        query = tower.queries(tower.pooled(points, items[:, :-1])[is_target], states)
        of_drawn = tower.logits(query, tower.items(points[drawn.item_ids]))
        of_targets = tower.logits_of_pairs(query, tower.items(points[drawn.targets]))
        return by_id, drawn.cross_entropy(of_targets, of_drawn)

    def scores(self, heads: Heads, histories: HistoryEnds, is_known: Tensor) -> ListedScores:
        """The heads' scores behind histories."""
        queries = self._queries(heads, histories)
        if self._index is None:
            # What is listed is scored in fp32, whatever it was found in.
            dtype = torch.bfloat16 if use_bf16("auto", queries.device) else torch.float32
            self._index = BlockIndex(is_known.nonzero().squeeze(1), heads.rows, dtype)
        company = heads.company_of(histories.item_seq, histories.lengths)
        return ListedScores(self._index, heads.rows, queries, company)
