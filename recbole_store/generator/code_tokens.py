"""What the LLM's vocabulary lacks: an input vector for each code, and a head for each level."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Length of a head's rows at the start. The LLM's last states are an order longer than its inputs
# (40 against 3 in SmolLM2), so rows of a word embedding's length would start it far too sure.
HEAD_NORM = 0.5


class CodeVocabulary:
    """The LLM's extra vocabulary: every (level, code) has an id of its own.

    Attributes:
        sizes: number of codes of each level.
        offsets: code_token_id of each level's code 0, int64 [L].

    Example:
        sizes [64, 64, 32]: code 5 of level 1 has code_token_id 69.
    """

    def __init__(self, sizes: list[int]):
        self.sizes = list(sizes)
        self.offsets = torch.tensor([0, *self.sizes[:-1]]).cumsum(0)

    @property
    def n_levels(self) -> int:
        return len(self.sizes)

    def __len__(self) -> int:
        return sum(self.sizes)

    def code_token_ids(self, codes: Tensor) -> Tensor:
        """Codes [..., l] of the first l levels -> code_token_ids [..., l]."""
        return codes + self.offsets[: codes.size(-1)].to(codes.device)


class CodeTokens(nn.Module):
    """Embeddings of codes and untied heads, of the LLM's width H.

    Args:
        sizes: number of codes of each level.
        hidden_size: H.
        word_norm: mean length of the LLM's word embeddings, which codes start with.
    """

    def __init__(self, sizes: list[int], hidden_size: int, word_norm: float):
        super().__init__()
        self.word_norm = word_norm
        self.vocabulary = CodeVocabulary(sizes)
        self.embedding = nn.Embedding(len(self.vocabulary), hidden_size)
        self.heads = nn.ModuleList(nn.Linear(hidden_size, size, bias=False) for size in sizes)
        with torch.no_grad():
            for weight in [self.embedding.weight, *(head.weight for head in self.heads)]:
                norm = word_norm if weight is self.embedding.weight else HEAD_NORM
                nn.init.normal_(weight)
                weight.copy_(F.normalize(weight, dim=-1) * norm)

    @torch.no_grad()
    def start_from(self, means: Tensor, counts: Tensor) -> None:
        """Start embeddings and heads from the items that carry the codes.

        Args:
            means: [L, C, H], mean dense token of each code's items, for the first L levels.
            counts: [L, C]; codes without items stay random.
        """
        directions = F.normalize(means, dim=-1).to(self.embedding.weight)
        used_codes = (counts > 0).to(directions.device)
        for level, (vectors, used) in enumerate(zip(directions, used_codes, strict=True)):
            start = int(self.vocabulary.offsets[level])
            embedding = self.embedding.weight[start : start + len(used)]
            embedding[used] = vectors[used] * self.word_norm
            self.heads[level].weight[used] = vectors[used] * HEAD_NORM

    def forward(self, codes: Tensor) -> Tensor:
        """Codes [..., l] of the first l levels -> input vectors [..., l, H].

        A code means little without those before it, so each input is the sum of its prefix's
        embeddings (at one scale): behind an item's last code the LLM reads the whole item at once.
        """
        embeddings = self.embedding(self.vocabulary.code_token_ids(codes))
        depth = torch.arange(1, codes.size(-1) + 1, device=codes.device)
        return embeddings.cumsum(-2) / depth.sqrt()[:, None]
