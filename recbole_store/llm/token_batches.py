"""Texts as the LLM's tokens."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


class TokenBatch(NamedTuple):
    """Texts as word-piece ids, right-padded."""

    ids: Tensor  # int64 [B, W]
    lengths: Tensor  # int64 [B]

    @classmethod
    def padded(cls, rows: list[list[int]], padding: int, device) -> TokenBatch:
        """From each text's word-piece ids, at least one."""
        parts = [torch.tensor(row) for row in rows]
        ids = pad_sequence(parts, batch_first=True, padding_value=padding)
        return cls(ids.to(device), torch.tensor([len(row) for row in rows], device=device))

    def of_rows(self, rows: Tensor) -> TokenBatch:
        """Some of the texts, padded to the longest of them."""
        lengths = self.lengths[rows]
        return TokenBatch(self.ids[rows, : int(lengths.max())], lengths)

    def followed_by(self, ids: Tensor) -> TokenBatch:
        """Every text with the same tokens [E] directly behind it."""
        padded = F.pad(self.ids, (0, len(ids)))
        place = self.lengths[:, None] + torch.arange(len(ids), device=ids.device)
        return TokenBatch(
            padded.scatter(1, place, ids.expand(len(padded), -1)), self.lengths + len(ids)
        )
