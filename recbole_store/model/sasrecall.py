"""SASRecAll: RecBole's SASRec network, trained on all items at every position.

Reference:
    Wang-Cheng Kang and Julian McAuley. "Self-Attentive Sequential Recommendation." ICDM 2018.
    Their loss sees every position of a history, against one sampled negative; with the
    cross-entropy over all items in its place SASRec is a much stronger baseline (Klenitskiy and
    Vasilev, "Turning Dross Into Gold Loss", RecSys 2023).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from recbole.model.sequential_recommender.sasrec import SASRec
from torch import Tensor

from recbole_store.generator.windows import with_targets
from recbole_store.model.window_targets import WindowTargets, filters_training
from recbole_store.tokenizer.text_tower import without_seen


class SASRecAll(WindowTargets, SASRec):
    """SASRec on windows: one pass over T items trains the T items that follow them.

    RecBole's SASRec reads one row a target, and so each history T times.
    """

    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        self.learn_windows(config, dataset)
        self.cold_items = dataset.cold_items  # there are none while it trains
        self.filter_training = filters_training(config)

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
        return loss / self.usual_targets(wanted)
