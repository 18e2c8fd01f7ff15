"""``random``: codes without meaning, the ID baseline of the generative kind."""

from __future__ import annotations

import random

import torch
from torch import Tensor

from recbole_store.errors import NoCodesError
from recbole_store.tokenizer.quantizers.base import NOTHING, Quantizer


class RandomCodes(Quantizer):
    """Codes drawn by a seed, different ones for each item as long as there are enough of them."""

    reads = NOTHING

    def fit(self, vectors: Tensor, seed: int) -> Tensor:
        n_items, n_tuples = len(vectors), self.codebook_size**self.n_slots
        rng = random.Random(seed)
        # All tuples as often as all items need, then some of them once more. There may be far more
        # tuples than memory, and then none is needed twice.
        rounds = n_items // n_tuples
        numbers = list(range(n_tuples)) * rounds if rounds else []
        numbers += rng.sample(range(n_tuples), n_items % n_tuples)
        rng.shuffle(numbers)
        places = [self.codebook_size**level for level in reversed(range(self.n_slots))]
        digits = [[n // place % self.codebook_size for place in places] for n in numbers]
        return torch.tensor(digits, dtype=torch.long).view(n_items, self.n_slots)

    def assign(self, vectors: Tensor) -> Tensor:
        raise NoCodesError(
            "With `tokenizer: random` codes say nothing about an item, so a new item has none: "
            "use another tokenizer, such as rqkmeans."
        )

    def points(self, vectors: Tensor) -> Tensor:
        return vectors

    @property
    def point_size(self) -> int:
        return 0
