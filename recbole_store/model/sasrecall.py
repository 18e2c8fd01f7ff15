"""SASRecAll: RecBole's SASRec network, trained on all items at every position.

Reference:
    Wang-Cheng Kang and Julian McAuley. "Self-Attentive Sequential Recommendation." ICDM 2018.
    Their loss sees every position of a history, against one sampled negative; with the
    cross-entropy over all items in its place SASRec is a much stronger baseline (Klenitskiy and
    Vasilev, "Turning Dross Into Gold Loss", RecSys 2023).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from recbole.model.sequential_recommender.sasrec import SASRec
from torch import Tensor

from recbole_store.data.item_texts import join_fields
from recbole_store.generator.company import DECAY, Company
from recbole_store.generator.item_vectors import with_more_rows
from recbole_store.generator.like_items import like_by_words, take_vectors
from recbole_store.generator.windows import with_targets
from recbole_store.model.window_targets import WindowTargets, filters_training
from recbole_store.tokenizer.co_occurrence import training_co_occurrence
from recbole_store.tokenizer.nearest import WordBags, decayed, likeness, with_texts
from recbole_store.tokenizer.text_tower import without_seen

# Of like texts' items for a new item: an equal text counts 16 times as much as one half alike.
SHARPNESS = 4.0


class SASRecAll(WindowTargets, SASRec):
    """SASRec on windows: one pass over T items trains the T items that follow them.

    RecBole's SASRec reads one row a target, and so each history T times.
    """

    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        self.learn_windows(config, dataset)
        self.cold_items = dataset.cold_items  # there are none while it trains
        self.n_fitted = self.n_items  # those behind them came after training
        self.text_weight = config["text_weight"]
        self.together_weight = config["together_weight"]
        self.words = None
        if dataset.item_texts is not None:
            texts = [join_fields(fields) for fields in dataset.item_texts]
            self.word_bags = WordBags(texts)
            self.words = self.word_bags(texts)
        self.company: Company | None = None
        if self.together_weight:
            self.company = Company(training_co_occurrence(dataset, self.n_items))
        self.filter_training = filters_training(config)

    @property
    def chance_loss(self) -> float:
        """The loss of who guesses among all items."""
        return math.log(self.n_fitted - 1 - len(self.cold_items))

    def states(self, item_seq: Tensor) -> Tensor:
        """Hidden states [B, T, H], each of the items up to its place."""
        positions = self.position_embedding.weight[: item_seq.size(1)]
        inputs = self.dropout(self.LayerNorm(self.item_embedding(item_seq) + positions))
        mask = self.get_attention_mask(item_seq)
        return self.trm_encoder(inputs, mask, output_all_encoded_layers=False)[-1]

    def forward(self, item_seq, item_seq_len):
        return self.gather_indexes(self.states(item_seq), item_seq_len - 1)  # [B, H]

    def calculate_loss(self, interaction):
        lengths = interaction[self.ITEM_SEQ_LEN]
        item_seq = interaction[self.ITEM_SEQ][:, : int(lengths.max())]
        wanted = self.wanted_targets(interaction)[:, : item_seq.size(1)]
        items = with_targets(item_seq, lengths, interaction[self.POS_ITEM_ID])
        logits = self.states(item_seq)[wanted] @ self.item_embedding.weight.T  # [n, n_items]
        logits[:, self.cold_items] = -torch.inf
        if self.filter_training:
            logits = without_seen(logits, items, wanted)
        loss = F.cross_entropy(logits, items[:, 1:][wanted], reduction="sum")
        return loss / self.mean_targets(wanted)

    def predict(self, interaction):
        if not self.text_weight and self.company is None:
            return super().predict(interaction)
        items = interaction[self.ITEM_ID][:, None]
        return self.full_sort_predict(interaction).gather(1, items).squeeze(1)

    def full_sort_predict(self, interaction):
        """Logits of all items, [B, n_items], with the gains of likeness and of company."""
        scores, *gains = self._parts(interaction).values()
        for gain in gains:
            scores = scores + gain
        return scores

    def _parts(self, interaction) -> dict[str, Tensor]:
        """What all items' scores are made of, [B, n_items] each: by ID, text and company."""
        parts = {"id": super().full_sort_predict(interaction)}
        item_seq, lengths = interaction[self.ITEM_SEQ], interaction[self.ITEM_SEQ_LEN]
        if self.text_weight:
            histories = (item_seq.cpu().numpy(), lengths.cpu().numpy())
            alike = likeness(decayed(*histories, DECAY, self.n_items), self.words)
            parts["text"] = self.text_weight * torch.from_numpy(alike).to(parts["id"])
        if self.company is not None:
            parts["company"] = self.together_weight * self.company(item_seq, lengths)
        return parts

    def admit_new_items(self) -> None:
        """Let cold items into the catalogue: what they lack they take from like texts' items."""
        if self.words is None:
            return
        is_known = torch.ones(self.n_items, dtype=torch.bool)
        is_known[0] = is_known[self.cold_items] = False
        self._take_from_like(self.cold_items, is_known.nonzero().squeeze(1))

    def _take_from_like(self, new: Tensor, known: Tensor, sharpness: float = 0.0) -> None:
        """Give items [N] the vectors and the company of the known [M] whose words are likest."""
        like = like_by_words(self.words, new, known)
        take_vectors(self.item_embedding.weight.data, new, like, sharpness)
        if self.company is not None:
            self.company.take_from(new, like)

    def add_items(self, fields: list[list[str]]) -> None:
        """Take new items in, behind all others, with vectors and company of like texts' items.

        Args:
            fields: of their texts.
        """
        if not fields:
            return
        new = torch.arange(self.n_items, self.n_items + len(fields))
        self.words = with_texts(self.words, self.word_bags, fields)
        self.item_embedding = with_more_rows(self.item_embedding, len(fields))
        if self.company is not None:
            self.company.grow(len(fields))
        self.n_items += len(fields)
        self._take_from_like(new, torch.arange(1, self.n_fitted), SHARPNESS)

    @torch.no_grad()
    def likeness(self, item_ids: Tensor) -> Tensor:
        """Cosine of items [n] to all, [n, n_items]; 0 for padding."""
        unit = F.normalize(self.item_embedding.weight, dim=-1)
        return unit[item_ids] @ unit.T

    @torch.no_grad()
    def contributions(self, interaction) -> dict[str, Tensor]:
        """What each row's item gains over the mean item, part by part, [B] each."""
        parts = self._parts(interaction)
        items = interaction[self.ITEM_ID][:, None]
        return {
            name: part.gather(1, items).squeeze(1) - part[:, 1:].mean(1)
            for name, part in parts.items()
        }
