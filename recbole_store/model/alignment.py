"""Text -> codes goes on while the recommender learns, so that language and codes stay tied.

A cosine of an item's codes and its text's point was tried as well: without it STORE was .0008
±.0010 of NDCG@10 ahead on ml-100k, and no other on Beauty's validation after two epochs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

import recbole_store.processes.ranks as ranks
from recbole_store.generator.code_tokens import CodeTokens
from recbole_store.llm.backbone import Backbone
from recbole_store.tokenizer.token_texts import TokenTexts

# Words between an item's text and its codes; no others were tried.
PROMPT = " The item's tokens:"


class Parts(NamedTuple):
    """What is read of a model, as it is at the time."""

    backbone: Backbone
    code_tokens: CodeTokens
    token_texts: TokenTexts
    semantic_ids: Tensor  # int64 [n_items, L]


class Alignment(nn.Module):
    """Text-to-token as an auxiliary task (STORE, section 3).

    Args:
        backbone: reads the prompt.
        weight: of the task.
        share: of the items that are read in an epoch.
    """

    def __init__(self, backbone: Backbone, weight: float, share: float):
        super().__init__()
        self.weight, self.share = weight, share
        self.register_buffer("prompt", backbone.tokenize([PROMPT]).ids[0], persistent=False)

    def pieces(self, parts: Parts, share: float, rows: int | None) -> Iterator[Tensor]:
        """Weighted losses on the next items in turn, of at most ``rows`` items each.

        Of several processes each gets its share of the items.

        Args:
            share: of an epoch that this batch is.
        """
        items = parts.token_texts.next_items(share * self.share)
        own = ranks.mine(items)
        for start in range(0, len(own), rows or len(items)):
            part = own[start : start + (rows or len(items))]
            of_batch = len(part) / len(items)
            yield self.weight * of_batch * self.loss(parts, part)

    def loss(self, parts: Parts, items: list[int]) -> Tensor:
        """Cross-entropy of items' codes, given their texts."""
        words = parts.token_texts.words(items).followed_by(self.prompt)
        codes = parts.semantic_ids[items]
        inputs = parts.code_tokens(codes[:, :-1])
        hidden = parts.backbone.read_tokens_then(words, inputs)  # [B, L, H]
        losses = [
            F.cross_entropy(head(hidden[:, level]), codes[:, level])
            for level, head in enumerate(parts.code_tokens.heads)
        ]
        return sum(losses) / len(losses)
