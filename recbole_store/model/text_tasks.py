"""The text tasks that go on while the recommender learns, so that language and codes stay tied."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from recbole_store.generator.code_tokens import CodeTokens
from recbole_store.llm.backbone import Backbone
from recbole_store.tokenizer.dense_tokens import TASK
from recbole_store.tokenizer.token_texts import TokenTexts


class Parts(NamedTuple):
    """What the tasks read of a model, as it is at the time."""

    backbone: Backbone
    code_tokens: CodeTokens
    token_texts: TokenTexts
    semantic_ids: Tensor  # int64 [n_items, L]
    points: Tensor  # [n_items, P]


class TextTasks(nn.Module):
    """Text -> codes (STORE, section 3), codes -> text, and codes that point to their text.

    Args:
        config: weights of the tasks, 0 leaves one out; ``text_task_share``; ``align_prompt``.
        backbone: reads the prompts, and says how wide codes' embeddings are.
        n_points: width of what is known of an item's text, for the cosine task.
    """

    def __init__(self, config, backbone: Backbone, n_points: int):
        super().__init__()
        weights = {
            "align": config["align_weight"],
            "reconstruct": config["reconstruct_weight"],
            "cosine": config["cosine_weight"],
        }
        self.weights = {task: weight for task, weight in weights.items() if weight > 0}
        self.share = config["text_task_share"] or 1.0
        align = backbone.words([" " + config["align_prompt"]]).ids[0]
        self.register_buffer("align_prompt", align, persistent=False)
        task = backbone.words([TASK]).ids[0]
        self.register_buffer("task_prompt", task, persistent=False)
        self.to_point: nn.Linear | None = None
        if "cosine" in self.weights:
            self.to_point = nn.Linear(backbone.hidden_size, n_points, bias=False)

    def pieces(self, parts: Parts, share: float, rows: int | None) -> Iterator[tuple[str, Tensor]]:
        """Weighted losses on the next items in turn, task by task, of at most ``rows`` items each.

        Args:
            share: of an epoch that this batch is.
        """
        if not self.weights:
            return
        items = parts.token_texts.next_items(share * self.share)
        for start in range(0, len(items), rows or len(items)):
            part = items[start : start + (rows or len(items))]
            of_batch = len(part) / len(items)
            for task, weight in self.weights.items():
                yield task, weight * of_batch * getattr(self, f"{task}_loss")(parts, part)

    def align_loss(self, parts: Parts, items: list[int]) -> Tensor:
        """Auxiliary text-to-token: cross-entropy of an item's codes, given its text."""
        words = parts.token_texts.words(items).followed_by(self.align_prompt)
        codes = parts.semantic_ids[items]
        inputs = parts.code_tokens(codes[:, :-1])
        hidden = parts.backbone.read_words_then(words, inputs)  # [B, L, H]
        losses = [
            F.cross_entropy(head(hidden[:, level]), codes[:, level])
            for level, head in enumerate(parts.code_tokens.heads)
        ]
        return sum(losses) / len(losses)

    def reconstruct_loss(self, parts: Parts, items: list[int]) -> Tensor:
        """Token-to-text: cross-entropy of an item's text, given its semantic ID."""
        tokens = parts.code_tokens(parts.semantic_ids[items])
        words, vocabulary = parts.token_texts.words(items), parts.token_texts.vocabulary
        return parts.backbone.text_loss(tokens, self.task_prompt, words, vocabulary)

    def rebuild(self, parts: Parts, codes: Tensor, n_words: int) -> str | None:
        """What the LLM writes of an item by its first codes, int64 [l]; None if it never learnt."""
        if "reconstruct" not in self.weights:
            return None
        tokens, vocabulary = parts.code_tokens(codes[None]), parts.token_texts.vocabulary
        return parts.backbone.write_text(tokens, self.task_prompt, vocabulary, n_words)

    def cosine_loss(self, parts: Parts, items: list[int]) -> Tensor:
        """1 - cosine of an item's codes, read as one vector and projected, and its text's point."""
        codes = parts.code_tokens(parts.semantic_ids[items])[:, -1]
        return 1 - F.cosine_similarity(self.to_point(codes), parts.points[items]).mean()
