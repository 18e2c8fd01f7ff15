"""Neighbours: items like the last ones of a history, by text and by company; nothing is trained.

A yardstick: a model that learns for hours should beat what needs none of it. It knows new items by
their texts.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from recbole.model.abstract_recommender import SequentialRecommender
from recbole.utils import InputType
from torch import Tensor, nn

from recbole_store.data.item_texts import join_fields
from recbole_store.generator.company import Company
from recbole_store.generator.like_items import like_by_words
from recbole_store.tokenizer.co_occurrence import training_co_occurrence
from recbole_store.tokenizer.nearest import WordBags, decayed, likeness, with_texts

TIE = 1e-6  # of the most frequent item: items that nothing is known of are ranked by popularity


class Neighbours(SequentialRecommender):
    """Recommends the neighbours of a history's last items."""

    input_type = InputType.POINTWISE

    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        self.cold_items = dataset.cold_items
        self.n_fitted = self.n_items  # those behind them came after training
        self.decay = config["decay"]
        self.text_weight, self.together_weight = config["text_weight"], config["together_weight"]
        texts = [join_fields(fields) for fields in dataset.item_texts]
        self.word_bags = WordBags(texts)
        self.words = self.word_bags(texts)
        self.company = Company(training_co_occurrence(dataset, self.n_items), self.decay)
        self.register_buffer("tie", torch.zeros(self.n_items), persistent=False)
        self.count_items(dataset.item_counter)
        self.nothing = nn.Parameter(torch.zeros(1))  # RecBole's optimizer wants something

    def count_items(self, counts) -> None:
        """Take how often training had each item: item_id -> number."""
        frequencies = torch.zeros(self.n_items)
        for item, count in counts.items():
            frequencies[item] = count
        self.tie.copy_(TIE * frequencies / frequencies.max().clamp(min=1))

    def admit_new_items(self) -> None:
        """Let cold items into the catalogue: their company is that of like texts' items."""
        is_known = torch.ones(self.n_items, dtype=torch.bool)
        is_known[0] = is_known[self.cold_items] = False
        self._take_from_like(self.cold_items, is_known.nonzero().squeeze(1))

    def _take_from_like(self, new: Tensor, known: Tensor) -> None:
        self.company.take_from(new, like_by_words(self.words, new, known))

    def forward(self, item_seq: Tensor, item_seq_len: Tensor) -> Tensor:
        """Scores of all items, [B, n_items]."""
        scores = self.tie
        for part in self._parts(item_seq, item_seq_len).values():
            scores = scores + part
        return scores

    def _parts(self, item_seq: Tensor, item_seq_len: Tensor) -> dict[str, Tensor]:
        parts = {"company": self.together_weight * self.company(item_seq, item_seq_len)}
        if self.text_weight:
            histories = (item_seq.cpu().numpy(), item_seq_len.cpu().numpy())
            alike = likeness(decayed(*histories, self.decay, self.n_items), self.words)
            parts["text"] = self.text_weight * torch.from_numpy(alike).to(item_seq.device)
        return parts

    def contributions(self, interaction) -> dict[str, Tensor]:
        """What each row's item gains over the mean item, part by part, [B] each."""
        items = interaction[self.ITEM_ID][:, None]
        parts = self._parts(interaction[self.ITEM_SEQ], interaction[self.ITEM_SEQ_LEN])
        return {
            name: part.gather(1, items).squeeze(1) - part[:, 1:].mean(1)
            for name, part in parts.items()
        }

    def add_items(self, fields: list[list[str]]) -> None:
        """Take new items in, behind all others; their company is that of like texts' items.

        Args:
            fields: of their texts.
        """
        if not fields:
            return
        new = torch.arange(self.n_items, self.n_items + len(fields))
        self.words = with_texts(self.words, self.word_bags, fields)
        self.company.grow(len(fields))
        self.tie = F.pad(self.tie, (0, len(fields)))
        self.n_items += len(fields)
        self._take_from_like(new, torch.arange(1, self.n_fitted))

    def likeness(self, item_ids: Tensor) -> Tensor:
        """How like all items are to some [n], by the model's own weights, [n, n_items]."""
        alone = torch.ones_like(item_ids)
        return self(item_ids[:, None], alone)

    def calculate_loss(self, interaction):
        return self.nothing.sum() * 0

    def predict(self, interaction):
        items = interaction[self.ITEM_ID][:, None]
        return self.full_sort_predict(interaction).gather(1, items).squeeze(1)

    def full_sort_predict(self, interaction):
        return self(interaction[self.ITEM_SEQ], interaction[self.ITEM_SEQ_LEN])
