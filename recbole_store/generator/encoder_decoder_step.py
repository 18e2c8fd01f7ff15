"""Beams as rows of a decoder that reads one encoded history a user.

For encoder-decoders, whose relative positions leave no room for a tree of beams in one sequence. A
row has its own short cache of the codes so far; what was encoded is kept once a user.
"""

from __future__ import annotations

import torch
from torch import Tensor


class EncoderDecoderStep:
    """The :class:`recbole_store.generator.step.Decoder` for a batch of users.

    Args:
        encoded: the users' histories, with

            - ``start() -> (hidden [B, 1, H], past [B, 1, ...])``, behind the start token,
            - ``go_on(level, codes, past) -> (hidden [B, K, H], past [B, K, ...])``, behind one more
              code [B, K] of ``level``, each row with the past of its prefix [B, K, ...],
            - ``select(users)``, which drops all users but the given ones.
        heads: per level, hidden states [..., H] -> logits [..., C].
    """

    def __init__(self, encoded, heads):
        self.encoded, self.heads = encoded, heads
        # Per level, what each query so far left behind, in the order in which they were asked.
        self._pasts: list[Tensor] = []
        self._start, past = encoded.start()
        self._pasts.append(past)

    def __call__(self, level: int, parents: Tensor | None, codes: Tensor | None) -> Tensor:
        """Logits of the next code; see :class:`recbole_store.generator.step.Step`."""
        if level == 0:
            return self.heads[0](self._start)
        before = self._pasts[level - 1]
        users = torch.arange(len(before), device=before.device)[:, None]
        hidden, past = self.encoded.go_on(level - 1, codes, before[users, parents])
        if level == len(self._pasts):
            self._pasts.append(past)
        else:
            self._pasts[level] = torch.cat([self._pasts[level], past], dim=1)
        return self.heads[level](hidden)

    @property
    def n_users(self) -> int:
        return len(self._start)

    def restart(self) -> None:
        """Forget all queries; the histories stay read."""
        self._pasts = self._pasts[:1]

    def select(self, users: Tensor) -> None:
        """Drop all users but the given ones, int64 [B']."""
        self.encoded.select(users)
        self._start = self._start[users]
        self._pasts = [past[users] for past in self._pasts]
