"""The items' texts as the LLM's tokens, and in which order a task sees them."""

from __future__ import annotations

import torch
from torch import nn

import recbole_store.processes.ranks as ranks
from recbole_store.llm.length_batches import similar_lengths
from recbole_store.llm.token_batches import TokenBatch


class TokenTexts(nn.Module):
    """Texts of all items, where the model's weights are.

    Attributes:
        vocabulary: sorted token ids that occur in the texts to learn from.
        waiting: batches of item_ids that a pass over the items has still to come to.

    Args:
        words: of all items, padding first.
        to_learn: item_ids whose texts the tasks learn from.
    """

    def __init__(self, words: TokenBatch, to_learn: list[int]):
        super().__init__()
        self.to_learn = to_learn
        self.register_buffer("ids", words.ids.int(), persistent=False)
        self.register_buffer("lengths", words.lengths, persistent=False)
        self.register_buffer("vocabulary", words.ids[to_learn].unique(), persistent=False)
        self.waiting: list[list[int]] = []

    def words(self, items: list[int]) -> TokenBatch:
        """Items' texts as tokens, padded to the longest of them."""
        part = TokenBatch(self.ids, self.lengths).of_rows(items)
        return part._replace(ids=part.ids.long())

    def next_items(self, share: float) -> list[int]:
        """The next batch of items to learn from: a share of all, so that 1 / share batches are one
        pass.

        Items of a batch have texts of similar length, which spares padding. The batches of several
        processes are the same.
        """
        if not self.waiting:
            n_items = max(round(share * len(self.to_learn)), 1)
            self.waiting = ranks.from_first(lambda: self._shuffled(n_items))
        return self.waiting.pop()

    def _shuffled(self, batch_size: int) -> list[list[int]]:
        shuffled = torch.tensor(self.to_learn)
        shuffled = shuffled[torch.randperm(len(shuffled))]
        lengths = self.lengths.cpu()[shuffled]
        return [batch.tolist() for batch in similar_lengths(lengths, batch_size, shuffled)]
