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

from recbole_store.generator.code_sequence import wanted_targets, with_targets
from recbole_store.seen_items import filters_training, without_seen


class SASRecAll(SASRec):
    """SASRec on windows: one pass over T items trains the T items that follow them.

    RecBole's SASRec reads one row a target, and so each history T times.
    """

    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        self.label_fields = (config["LABEL_FIELD"], config["LABEL_FIELD"] + config["LIST_SUFFIX"])
        # Rows of benchmark files overlap, so only their own target counts.
        self.only_last = dataset.window_rows is None
        self.cold_items = dataset.cold_items  # there are none while it trains
        self.filter_training = filters_training(config)
        # What a batch's loss is divided by, so that each target weighs the same in an epoch,
        # whether it comes in a batch of long windows or of short ones.
        self.targets_per_row = dataset.n_targets / max(len(dataset), 1)

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
        wanted = wanted_targets(
            lengths,
            interaction[self.ITEM_SEQ].size(1),
            self.only_last,
            *(interaction[field] if field in interaction else None for field in self.label_fields),
        )[:, : item_seq.size(1)]
        items = with_targets(item_seq, lengths, interaction[self.POS_ITEM_ID])
        logits = self.states(item_seq)[wanted] @ self.item_embedding.weight.T  # [n, n_items]
        logits[:, self.cold_items] = -torch.inf
        if self.filter_training:
            logits = without_seen(logits, items, wanted)
        loss = F.cross_entropy(logits, items[:, 1:][wanted], reduction="sum")
        return loss / max(int(wanted.any(1).sum()) * self.targets_per_row, 1)
