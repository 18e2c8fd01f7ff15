"""The terms of stage 1: reconstruction, contrast between items, slots that differ."""

from __future__ import annotations

import random
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

import recbole_store.processes.ranks as ranks
from recbole_store.data.item_texts import join_fields
from recbole_store.tokenizer.dense_tokens import DenseTokenizer
from recbole_store.tokenizer.text_views import drop_fields

# Of the contrastive term and of its collaborative target.
TEMPERATURE = 0.1
# Weight of what keeps an item's slots different, beside the contrastive term's.
DECORRELATION = 0.1
# Probability that a view leaves out a column of the text.
COLUMN_DROPOUT = 0.3


class TokenizerLosses(NamedTuple):
    """Weighted terms of stage 1; a term with weight 0 is not computed and stays 0.

    Of several processes each has its shares, whose sums are the batch's terms.
    """

    total: Tensor
    reconstruction: Tensor
    contrastive: Tensor


def contrastive_loss(
    first: Tensor,
    second: Tensor,
    temperature: float = TEMPERATURE,
    positives: Tensor | None = None,
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


def collaborative_positives(
    factors: Tensor, share: float, temperature: float = TEMPERATURE
) -> Tensor:
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
    fields: list[list[str]],
    vocabulary: Tensor,
    positives: Tensor | None,
    token_to_text_weight: float,
    contrastive_weight: float,
    rng: random.Random,
) -> TokenizerLosses:
    """All terms of stage 1 for a batch of items, given as the fields of their texts.

    Of several processes each reads its share of the items; all items are told apart from all.

    Args:
        vocabulary: sorted word-piece ids that reconstruction chooses from.
        positives: of the contrastive loss, [B, B] or None.
        contrastive_weight: of telling items apart, and an item's slots; 0 leaves both out.
    """
    n_views = 2 if contrastive_weight > 0 else 1
    share = COLUMN_DROPOUT if contrastive_weight > 0 else 0.0
    views = [
        [join_fields(drop_fields(item, share, rng)) for item in fields] for _ in range(n_views)
    ]
    own = [text for view in views for text in ranks.mine(view)]
    dense = tokenizer(backbone, own)  # [views * own items, L, H]
    zero = dense.new_zeros(())
    reconstruction, contrastive, total = zero, zero, zero
    whole = [join_fields(item) for item in fields]
    if token_to_text_weight > 0 and own:
        texts = ranks.mine(whole)
        reconstruction = tokenizer.reconstruction_loss(
            backbone, dense[: len(texts)], texts, vocabulary
        )
        if len(texts) < len(whole):  # a mean over words, of which others have the rest
            n_words = tokenizer.n_words(backbone, texts) / tokenizer.n_words(backbone, whole)
            reconstruction = reconstruction * n_words
        total = total + token_to_text_weight * reconstruction
    if contrastive_weight > 0:
        of_all = _of_all(dense, len(fields))
        contrastive = contrastive_loss(*of_all.chunk(2), positives=positives) / ranks.world_size()
        apart = slot_correlation(of_all) / ranks.world_size()
        total = total + contrastive_weight * contrastive
        total = total + contrastive_weight * DECORRELATION * apart
    return TokenizerLosses(total, reconstruction, contrastive)


def _of_all(dense: Tensor, n_items: int) -> Tensor:
    """Two views of this process's items -> of everybody's, [2 * B, L, H]."""
    if ranks.world_size() == 1:
        return dense
    views = dense.unflatten(0, (2, len(dense) // 2)).transpose(0, 1)
    return ranks.all_rows(views, n_items).transpose(0, 1).flatten(0, 1)
