"""TextTower: items' texts against histories of texts, without an identifier of any item.

A yardstick: what a model with identifiers adds to texts, and what a language model's features add
to a bag of words.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from recbole.model.abstract_recommender import SequentialRecommender
from recbole.utils import InputType
from torch import Tensor

from recbole_store.data.item_texts import join_fields
from recbole_store.generator.company import Company, likeness_to_history, summed_history
from recbole_store.generator.like_items import like_by_vectors
from recbole_store.generator.windows import with_targets
from recbole_store.llm.precision import use_bf16
from recbole_store.model.window_targets import WindowTargets
from recbole_store.processes.status import SILENT, Status
from recbole_store.tokenizer.co_occurrence import training_co_occurrence
from recbole_store.tokenizer.text_features import KINDS, text_features
from recbole_store.tokenizer.text_tower import TextTower as Tower
from recbole_store.tokenizer.text_tower import tower_loss


class TextTower(WindowTargets, SequentialRecommender):
    """The tower of STORE's stage 1 on windows, ranked with the gains of company and likeness."""

    input_type = InputType.POINTWISE

    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        self.kind, self.backbone_name = config["text_features"], config["backbone"]
        self.max_text_tokens = config["max_text_tokens"]
        self.together_weight = config["together_weight"]
        self.likeness_weight = config["likeness_weight"]
        self.bf16 = use_bf16("auto", torch.device(config["device"]))
        self.learn_windows(config, dataset)
        self.cold_items, self.has_joined = dataset.cold_items, False
        self.texts = [join_fields(fields) for fields in dataset.item_texts]
        self.tower = Tower(KINDS[self.kind], config["width"], config["dropout_prob"])
        self.register_buffer("features", torch.zeros(self.n_items, KINDS[self.kind]))
        self.company: Company | None = None
        if self.together_weight:
            self.company = Company(training_co_occurrence(dataset, self.n_items))

    def read_texts(self, status: Status = SILENT) -> None:
        """Find the texts' features; called once, before training."""
        known = self._is_known()
        found = text_features(
            self.kind,
            self.texts,
            known,
            self.backbone_name,
            self.max_text_tokens,
            self.device,
            status,
        )
        self.features.copy_(found)
        self.features[0] = 0.0

    @property
    def chance_loss(self) -> float:
        """The loss of who guesses among all items."""
        return math.log(int(self._is_known().sum()))

    def _is_known(self) -> Tensor:
        """bool [n_items]: which items are in the catalogue."""
        known = torch.ones(self.n_items, dtype=torch.bool, device=self.features.device)
        known[0] = False
        known[self.cold_items] = self.has_joined
        return known

    def admit_new_items(self) -> None:
        """Let cold items into the catalogue, by their texts, with like texts' items' company."""
        if self.company is not None:
            known = self._is_known().nonzero().squeeze(1)
            like = like_by_vectors(self.features, self.cold_items, known)
            self.company.take_from(self.cold_items, like)
        self.has_joined = True

    def forward(self, item_seq: Tensor, item_seq_len: Tensor) -> Tensor:
        """Queries behind the last items of histories, [B, D]."""
        pooled = self.tower.pooled(self.features, item_seq)
        last = (item_seq_len - 1).clamp(min=0)
        return self.tower.queries(pooled[torch.arange(len(last)), last])

    def calculate_loss(self, interaction):
        lengths = interaction[self.ITEM_SEQ_LEN]
        items = with_targets(interaction[self.ITEM_SEQ], lengths, interaction[self.ITEM_ID])
        wanted = self.wanted_targets(interaction)[:, : items.size(1) - 1]
        loss = tower_loss(self.tower, self.features, items, wanted, ~self._is_known(), self.bf16)
        return loss * int(wanted.sum()) / self.mean_targets(wanted)

    def predict(self, interaction):
        items = interaction[self.ITEM_ID][:, None]
        return self.full_sort_predict(interaction).gather(1, items).squeeze(1)

    def full_sort_predict(self, interaction):
        item_seq, lengths = interaction[self.ITEM_SEQ], interaction[self.ITEM_SEQ_LEN]
        item_seq = item_seq[:, : max(int(lengths.max()), 1)]
        items = self.tower.items(self.features)
        scores = self.tower.logits(self(item_seq, lengths), items)
        if self.company is not None:
            scores = scores + self.together_weight * self.company(item_seq, lengths)
        if self.likeness_weight:
            alike = likeness_to_history(items, item_seq, lengths)
            scores = scores + self.likeness_weight * alike
            if self.has_joined:  # as STORE's new items gain
                states = F.normalize(self.features[item_seq], dim=-1)
                history = summed_history(states, item_seq, lengths)
                cold = F.normalize(self.features[self.cold_items], dim=-1)
                gain = self.likeness_weight * history @ cold.T
                scores[:, self.cold_items] = scores[:, self.cold_items] + gain
        return scores
