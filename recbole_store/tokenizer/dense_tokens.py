"""Texts -> dense tokens [N, L, H]: text-to-token and token-to-text on the LLM (STORE, stage 1).

Two forward passes stand for the attention mask of the paper (LAMIA, arXiv 2409.07276v3): the first
reads the text and L learnable slots, the second reads the slots' hidden states and rebuilds the
text from them, seeing nothing else of it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import recbole_store.processes.ranks as ranks
from recbole_store.llm.length_batches import length_groups

TASK = "The text of this item:"


class DenseTokenizer(nn.Module):
    """L learnable slots behind an item's text; their hidden states are its dense tokens.

    Args:
        n_slots: L.
        hidden_size, word_norm: of the LLM.
        max_tokens: texts are cut to this many tokens.
    """

    def __init__(self, n_slots: int, hidden_size: int, word_norm: float, max_tokens: int):
        super().__init__()
        self.word_norm = word_norm
        self.max_tokens = max_tokens
        slots = F.normalize(torch.randn(n_slots, hidden_size), dim=-1) * word_norm
        self.slots = nn.Parameter(slots)

    def forward(self, backbone, texts: list[str]) -> Tensor:
        """Texts -> dense tokens [B, L, H]."""
        if not texts:
            return self.slots.expand(0, -1, -1)
        words = backbone.tokenize(texts, self.max_tokens)
        groups = length_groups(words.lengths)
        parts = []
        for rows in groups:
            slots = self.slots.expand(len(rows), -1, -1)
            parts.append(backbone.read_tokens_then(words.of_rows(rows), slots)[:, 1:])
        return torch.cat(parts)[torch.cat(groups).argsort()]

    def read_all(self, backbone, texts: list[str], batch_size: int) -> Tensor:
        """Any number of texts -> dense tokens [N, L, H], fp32 on the CPU.

        Texts of similar length are read together, ``batch_size`` at a time. Of several processes,
        all of which must call it, each reads a share.
        """
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        dense = torch.zeros(len(texts), *self.slots.shape)
        for start in ranks.mine(range(0, len(texts), batch_size)):
            places = order[start : start + batch_size]
            found = self(backbone, [texts[place] for place in places])
            dense[places] = found.to(dense)
        return ranks.sum_over_ranks(dense)

    def rebuild(self, backbone, dense: Tensor, vocabulary: Tensor, n_tokens: int) -> str:
        """Token-to-text: what the LLM writes, given dense tokens [l, H] alone."""
        task = backbone.tokenize([TASK]).ids[0]
        inputs = F.normalize(dense, dim=-1)[None] * self.word_norm
        return backbone.write_text(inputs, task, vocabulary, n_tokens)

    def n_words(self, backbone, texts: list[str]) -> int:
        """Over how many tokens :meth:`reconstruction_loss` takes the mean."""
        return int(backbone.tokenize(texts, self.max_tokens).lengths.sum())

    def reconstruction_loss(
        self, backbone, dense: Tensor, texts: list[str], vocabulary: Tensor
    ) -> Tensor:
        """Token-to-text: cross-entropy of the text, given its dense tokens [B, L, H] alone.

        Args:
            vocabulary: sorted word-piece ids of the whole catalogue's texts.
        """
        task, words = backbone.tokenize([TASK]).ids[0], backbone.tokenize(texts, self.max_tokens)
        # Hidden states leave the LLM at another scale than its inputs have.
        inputs = F.normalize(dense, dim=-1) * self.word_norm
        total = 0.0
        for rows in length_groups(words.lengths):
            part = words.of_rows(rows)
            loss = backbone.text_loss(inputs[rows], task, part, vocabulary)
            total = total + loss * part.lengths.sum()
        return total / words.lengths.sum()
