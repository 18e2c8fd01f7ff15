"""Texts -> dense tokens [N, L, H]: text-to-token and token-to-text on the LLM (STORE, stage 1).

Two forward passes stand for the attention mask of the paper (LAMIA, arXiv 2409.07276v3): the first
reads the text and L learnable slots, the second reads the slots' hidden states and rebuilds the
text from them, seeing nothing else of it.
"""

from __future__ import annotations

import random
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_store.tokenizer.item_text import join_pieces

TASK = "The text of this item:"

# Texts of similar length that the LLM reads at once: enough for full use of the cores, and few
# enough that the longest of them pads little.
TEXTS_PER_PASS = 32


class TokenizerLosses(NamedTuple):
    """Weighted terms of stage 1; a term with weight 0 is not computed and stays 0."""

    total: Tensor
    reconstruction: Tensor
    contrastive: Tensor


class DenseTokenizer(nn.Module):
    """L learnable slots behind an item's text; their hidden states are its dense tokens.

    Args:
        n_slots: L.
        hidden_size, word_norm: of the LLM.
        max_words: texts are cut to this many word pieces.
    """

    def __init__(self, n_slots: int, hidden_size: int, word_norm: float, max_words: int):
        super().__init__()
        self.word_norm = word_norm
        self.max_words = max_words
        slots = F.normalize(torch.randn(n_slots, hidden_size), dim=-1) * word_norm
        self.slots = nn.Parameter(slots)

    def forward(self, backbone, texts: list[str]) -> Tensor:
        """Texts -> dense tokens [B, L, H]."""
        words = backbone.words(texts, self.max_words)
        groups = length_groups(words.lengths)
        parts = []
        for rows in groups:
            slots = self.slots.expand(len(rows), -1, -1)
            parts.append(backbone.read_words_then(words.of_rows(rows), slots)[:, 1:])
        return torch.cat(parts)[torch.cat(groups).argsort()]

    def read_all(self, backbone, texts: list[str], batch_size: int) -> Tensor:
        """Any number of texts -> dense tokens [N, L, H], fp32 on the CPU.

        Texts of similar length are read together, ``batch_size`` at a time.
        """
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        dense = torch.empty(len(texts), *self.slots.shape)
        for start in range(0, len(texts), batch_size):
            places = order[start : start + batch_size]
            found = self(backbone, [texts[place] for place in places])
            dense[places] = found.to(dense)
        return dense

    def reconstruction_loss(
        self, backbone, dense: Tensor, texts: list[str], vocabulary: Tensor
    ) -> Tensor:
        """Token-to-text: cross-entropy of the text, given its dense tokens [B, L, H] alone.

        Args:
            vocabulary: sorted word-piece ids of the whole catalogue's texts.
        """
        task, words = backbone.words([TASK]).ids[0], backbone.words(texts, self.max_words)
        # Hidden states leave the LLM at another scale than its inputs have.
        inputs = F.normalize(dense, dim=-1) * self.word_norm
        total = 0.0
        for rows in length_groups(words.lengths):
            part = words.of_rows(rows)
            loss = backbone.text_loss(inputs[rows], task, part, vocabulary)
            total = total + loss * part.lengths.sum()
        return total / words.lengths.sum()


def length_groups(lengths: Tensor) -> list[Tensor]:
    """Rows [B] in groups of similar length, which the LLM reads one after the other."""
    return list(torch.argsort(lengths).split(TEXTS_PER_PASS))


def drop_pieces(pieces: list[str], share: float, rng: random.Random) -> list[str]:
    """One view of an item: each piece of its text is left out with probability ``share``.

    At least one piece stays. Example: ["Alien", "(1979)", "Horror"] -> ["Alien", "Horror"]
    """
    kept = [piece for piece in pieces if rng.random() >= share]
    return kept or ([rng.choice(pieces)] if pieces else [])


def contrastive_loss(
    first: Tensor, second: Tensor, temperature: float, positives: Tensor | None = None
) -> Tensor:
    """InfoNCE per slot between two views [B, L, H] of the same items.

    Args:
        positives: [B, B], what share of each row's attention the items of the batch should get;
            None is the identity: only the item itself, all others are negatives.
    """
    a, b = (F.normalize(view.transpose(0, 1), dim=-1) for view in (first, second))  # [L, B, H]
    similarity = a @ b.transpose(1, 2) / temperature  # [L, B, B]
    if positives is None:
        positives = torch.eye(len(first), device=first.device)
    rows = -(positives * similarity.log_softmax(-1)).sum(-1)
    columns = -(positives * similarity.transpose(1, 2).log_softmax(-1)).sum(-1)
    return (rows.mean() + columns.mean()) / 2


def collaborative_positives(factors: Tensor, share: float, temperature: float) -> Tensor:
    """Positives [B, B] that give ``share`` to items which histories put together.

    Args:
        factors: unit vectors [B, F]; an item without one (0) is its own only positive.
    """
    itself = torch.eye(len(factors), device=factors.device)
    together = (factors @ factors.T / temperature).softmax(-1)
    known = (factors.square().sum(-1, keepdim=True) > 0).float()
    return itself + share * known * (together - itself)


def slot_correlation(dense: Tensor) -> Tensor:
    """Mean squared cosine between different slots of an item, once the batch mean is taken off.

    0 when the slots of [B, L, H] say different things, 1 when they are copies of each other.
    """
    n_slots = dense.size(1)
    if n_slots == 1:
        return dense.sum() * 0.0  # nothing to tell apart, but still part of the graph
    centred = F.normalize(dense - dense.mean(dim=0), dim=-1)
    cosine = centred @ centred.transpose(1, 2)  # [B, L, L]
    off_diagonal = ~torch.eye(n_slots, dtype=torch.bool, device=dense.device)
    return cosine[:, off_diagonal].square().mean()


def tokenizer_losses(
    tokenizer: DenseTokenizer,
    backbone,
    pieces: list[list[str]],
    vocabulary: Tensor,
    positives: Tensor | None,
    token_to_text_weight: float,
    contrastive_weight: float,
    decorrelation_weight: float,
    temperature: float,
    attribute_dropout: float,
    rng: random.Random,
) -> TokenizerLosses:
    """All terms of stage 1 for a batch of items, given as the pieces of their texts.

    Args:
        vocabulary: sorted word-piece ids that reconstruction chooses from.
        positives: of the contrastive loss, [B, B] or None.
    """
    contrast = contrastive_weight > 0 or decorrelation_weight > 0
    n_views = 2 if contrast else 1
    share = attribute_dropout if contrast else 0.0
    views = [join_pieces(drop_pieces(item, share, rng)) for _ in range(n_views) for item in pieces]
    dense = tokenizer(backbone, views)  # [views * B, L, H]
    zero = dense.new_zeros(())
    reconstruction, contrastive, total = zero, zero, zero
    if token_to_text_weight > 0:
        whole = [join_pieces(item) for item in pieces]
        reconstruction = tokenizer.reconstruction_loss(
            backbone, dense[: len(pieces)], whole, vocabulary
        )
        total = total + token_to_text_weight * reconstruction
    if contrastive_weight > 0:
        contrastive = contrastive_loss(*dense.chunk(2), temperature, positives)
        total = total + contrastive_weight * contrastive
    if decorrelation_weight > 0:
        total = total + decorrelation_weight * slot_correlation(dense)
    return TokenizerLosses(total, reconstruction, contrastive)
