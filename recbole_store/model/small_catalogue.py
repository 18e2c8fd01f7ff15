"""STORE's heads over a catalogue of up to ``full_softmax_limit`` items, each looked at."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from recbole_store.generator.item_head import DenseScores
from recbole_store.model.heads import AllItems, Heads, HistoryEnds, Targets
from recbole_store.tokenizer.sampled_softmax import Lot
from recbole_store.tokenizer.text_tower import without_seen


class SmallCatalogue(AllItems):
    """Losses and rankings of the heads over all items."""

    draws_items = False

    def __init__(self):
        super().__init__()
        self._rows: Tensor | None = None  # of all items, while nothing is trained

    def forget(self) -> None:
        super().forget()
        self._rows = None

    def losses(
        self, heads: Heads, targets: Targets, lot: Lot | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Cross-entropy of the item head and of the text head, if there is one, over all targets.

        Args:
            lot: nothing is drawn.
        """
        states, items, is_target, is_known, is_filtered = targets
        labels = items[:, 1:][is_target]

        def cross_entropy(logits: Tensor) -> Tensor:
            if is_filtered:
                logits = without_seen(logits, items, is_target)
            return F.cross_entropy(logits, labels, reduction="sum")

        vectors = heads.item_vectors(heads.points)
        by_id = cross_entropy(heads.item_head(states, vectors, ~is_known))
        tower = heads.text_head
        if tower is None:
            return by_id, None
        query = tower.queries(tower.pooled(heads.points, items[:, :-1])[is_target], states)
        logits = tower.logits(query, tower.items(heads.points))
        return by_id, cross_entropy(logits.masked_fill(~is_known, -torch.inf))

    def scores(self, heads: Heads, histories: HistoryEnds, is_known: Tensor) -> DenseScores:
        """The heads' log-probabilities of all items behind histories."""
        queries = self._queries(heads, histories)
        if self._rows is None:
            self._rows = heads.rows(torch.arange(len(is_known), device=is_known.device))
        scores = queries @ self._rows.T
        if heads.company is not None:
            company = heads.company(histories.item_seq, histories.lengths)
            scores = scores + heads.together_weight * company
        return DenseScores(scores.masked_fill(~is_known, -torch.inf).log_softmax(-1))
