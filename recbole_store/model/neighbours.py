"""Neighbours: items like the last ones of a history, by text and by company; nothing is trained.

A yardstick: a model that learns for hours should beat what needs none of it. It knows new items by
their texts.
"""

from __future__ import annotations

import numpy as np
import torch
from recbole.model.abstract_recommender import SequentialRecommender
from recbole.utils import InputType
from torch import Tensor, nn

from recbole_store.data.item_texts import join_pieces
from recbole_store.tokenizer.co_occurrence import training_co_occurrence
from recbole_store.tokenizer.nearest import bags_of_words, by_both_totals, decayed, likeness

TIE = 1e-6  # of the most frequent item: items that nothing is known of are ranked by popularity


class NeighbourScores:
    """Scores of all items for histories, by texts' words and by what histories put together.

    Args:
        texts: of all items, by item_id.
        together: how often training histories put items together, CSR [n_items, n_items].
        decay: of an item's weight with each step back in the history.
    """

    def __init__(self, texts: list[str], together, decay: float):
        self.words, self.together = bags_of_words(texts), by_both_totals(together)
        self.decay, self.n_items = decay, len(texts)

    def __call__(
        self, item_seq: Tensor, lengths: Tensor, text_weight: float, together_weight: float
    ) -> Tensor:
        """fp32 [B, n_items], for histories [B, T] of these lengths [B]."""
        weights = decayed(item_seq.cpu().numpy(), lengths.cpu().numpy(), self.decay, self.n_items)
        scores = np.zeros(weights.shape, dtype=np.float32)
        if text_weight:
            scores += text_weight * likeness(weights, self.words)
        if together_weight:
            scores += together_weight * (weights @ self.together).toarray()
        return torch.from_numpy(scores).to(item_seq.device)


class Neighbours(SequentialRecommender):
    """Recommends the neighbours of a history's last items."""

    input_type = InputType.POINTWISE

    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        self.weights = (config["text_weight"], config["together_weight"])
        texts = [join_pieces(fields) for fields in dataset.item_texts]
        together = training_co_occurrence(dataset, self.n_items)
        self.neighbour_scores = NeighbourScores(texts, together, config["decay"])
        counts = torch.zeros(self.n_items)
        for item, count in dataset.item_counter.items():
            counts[item] = count
        self.register_buffer("tie", TIE * counts / counts.max().clamp(min=1), persistent=False)
        self.nothing = nn.Parameter(torch.zeros(1))  # RecBole's optimizer wants something

    def forward(self, item_seq: Tensor, item_seq_len: Tensor) -> Tensor:
        """Scores of all items, [B, n_items]."""
        return self.neighbour_scores(item_seq, item_seq_len, *self.weights) + self.tie

    def calculate_loss(self, interaction):
        return self.nothing.sum() * 0

    def predict(self, interaction):
        items = interaction[self.ITEM_ID][:, None]
        return self.full_sort_predict(interaction).gather(1, items).squeeze(1)

    def full_sort_predict(self, interaction):
        return self(interaction[self.ITEM_SEQ], interaction[self.ITEM_SEQ_LEN])
