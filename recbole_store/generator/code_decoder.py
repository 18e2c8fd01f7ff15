"""One prefill a user, then all beams of a user as queries on that one key-value cache.

The beams of a level are one forward pass under a tree mask: a beam sees the user's history, its
own ancestors and itself. Nothing is copied per beam, so a user costs T*L + K*(L - 1) token passes
instead of K times the history at every level.
"""

from __future__ import annotations

import torch
from torch import Tensor

from recbole_store.generator.code_sequence import CodeVocabulary


class CodeDecoder:
    """The *step* of :mod:`recbole_store.generator.beam_search` for a batch of users.

    Args:
        backbone: has ``forward(inputs, mask, positions, cache)`` and ``new_cache()``.
        embed: code_token_ids [...] -> input vectors [..., H].
        heads: per level, hidden states [..., H] -> logits [..., C].
        vocabulary: levels and their sizes.
        prompt: input vectors before the history, [P, H].
        history: codes [B, T, L], right-padded.
        lengths: items in each history, int64 [B].
    """

    def __init__(
        self, backbone, embed, heads, vocabulary: CodeVocabulary, prompt, history, lengths
    ):
        self.backbone, self.embed, self.heads = backbone, embed, heads
        self.vocabulary = vocabulary
        self.n_users = len(history)
        history = history[:, : max(int(lengths.max()), 1)]
        tokens = embed(vocabulary.token_ids(history)).flatten(1, 2)  # [B, T * L, H]
        inputs = torch.cat([prompt.expand(self.n_users, -1, -1), tokens], dim=1)
        self.end = len(prompt) + lengths * vocabulary.n_levels  # [B], each row's true length
        self.cache = backbone.new_cache()
        hidden = backbone(inputs, cache=self.cache)
        last = (self.end - 1)[:, None, None].expand(-1, 1, hidden.size(2))
        self._history_end = hidden.gather(1, last)  # [B, 1, H]
        place = torch.arange(inputs.size(1), device=inputs.device)
        self._sees_history = place[None] < self.end[:, None]  # [B, S]
        self._ancestors: Tensor | None = None  # bool [B, K, codes fed so far]

    def __call__(self, level: int, parents: Tensor | None, codes: Tensor | None) -> Tensor:
        """Logits of the next code; see the module's description of a step."""
        if level == 0:
            return self.heads[0](self._history_end)
        n_beams = codes.size(1)
        itself = torch.eye(n_beams, dtype=torch.bool, device=codes.device)
        itself = itself.expand(self.n_users, -1, -1)
        if self._ancestors is None:
            self._ancestors = itself
        else:
            rows = parents[..., None].expand(-1, -1, self._ancestors.size(2))
            self._ancestors = torch.cat([self._ancestors.gather(1, rows), itself], dim=2)
        sees = torch.cat(
            [self._sees_history[:, None].expand(-1, n_beams, -1), self._ancestors], dim=2
        )
        inputs = self.embed(codes + self.vocabulary.offsets[level - 1].to(codes.device))
        blocked = torch.finfo(inputs.dtype).min
        mask = torch.zeros(sees.shape, dtype=inputs.dtype, device=inputs.device)
        mask = mask.masked_fill_(~sees, blocked)[:, None]  # [B, 1, K, S + fed]
        positions = (self.end + level - 1)[:, None].expand(-1, n_beams)
        hidden = self.backbone(inputs, mask=mask, positions=positions, cache=self.cache)
        return self.heads[level](hidden)
