"""One prefill a user, then all beams of a user as queries on that one key-value cache.

The beams of a level are one forward pass under a tree mask: a beam sees the user's history, its
own ancestors and itself. Nothing is copied per beam, so a user costs T*L + K*(L - 1) token passes
instead of K times the history at every level.
"""

from __future__ import annotations

import torch
from torch import Tensor


class CodeDecoder:
    """The *step* of :mod:`recbole_store.generator.beam_search` for a batch of users.

    Args:
        backbone: has ``forward(inputs, mask, positions, cache)`` and ``new_cache()``.
        embed: codes [..., l] of the first l levels -> input vectors [..., l, H].
        heads: per level, hidden states [..., H] -> logits [..., C].
        prompt: input vectors before the history, [P, H].
        history: codes [B, T, L], right-padded.
        lengths: items in each history, int64 [B].
    """

    def __init__(self, backbone, embed, heads, prompt, history: Tensor, lengths: Tensor):
        self.backbone, self.embed, self.heads = backbone, embed, heads
        self.n_users, _, n_levels = history.shape
        history = history[:, : max(int(lengths.max()), 1)]
        inputs = torch.cat(
            [prompt.expand(self.n_users, -1, -1), embed(history).flatten(1, 2)], dim=1
        )
        self.end = len(prompt) + lengths * n_levels  # [B], each row's true length
        self.cache = backbone.new_cache()
        hidden = backbone(inputs, cache=self.cache)
        last = (self.end - 1)[:, None, None].expand(-1, 1, hidden.size(2))
        self._history_end = hidden.gather(1, last)  # [B, 1, H]
        place = torch.arange(inputs.size(1), device=inputs.device)
        self._sees_history = place[None] < self.end[:, None]  # [B, S]
        self._prefixes: Tensor | None = None  # int64 [B, K, l], codes of each beam
        self._ancestors: Tensor | None = None  # bool [B, K, codes fed so far]

    def __call__(self, level: int, parents: Tensor | None, codes: Tensor | None) -> Tensor:
        """Logits of the next code; see the module's description of a step."""
        if level == 0:
            return self.heads[0](self._history_end)
        self._extend(parents, codes)
        n_beams = codes.size(1)
        inputs = self.embed(self._prefixes)[..., -1, :]  # [B, K, H]
        sees = torch.cat(
            [self._sees_history[:, None].expand(-1, n_beams, -1), self._ancestors], dim=2
        )
        mask = torch.zeros(sees.shape, dtype=inputs.dtype, device=inputs.device)
        mask.masked_fill_(~sees, torch.finfo(inputs.dtype).min)
        positions = (self.end + level - 1)[:, None].expand(-1, n_beams)
        hidden = self.backbone(inputs, mask=mask[:, None], positions=positions, cache=self.cache)
        return self.heads[level](hidden)

    def _extend(self, parents: Tensor, codes: Tensor) -> None:
        """Let each beam take over its parent's codes and ancestors, and add its own."""
        itself = torch.eye(codes.size(1), dtype=torch.bool, device=codes.device)
        itself = itself.expand(self.n_users, -1, -1)
        if self._prefixes is None:
            self._prefixes, self._ancestors = codes[..., None], itself
            return

        def of_parents(rows: Tensor) -> Tensor:
            return rows.gather(1, parents[..., None].expand(-1, -1, rows.size(2)))

        self._prefixes = torch.cat([of_parents(self._prefixes), codes[..., None]], dim=2)
        self._ancestors = torch.cat([of_parents(self._ancestors), itself], dim=2)
