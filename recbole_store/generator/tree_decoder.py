"""One prefill a user, then all beams of a user as queries on that one key-value cache.

The beams of a level are one forward pass under a tree mask: a beam sees the user's history, its
own ancestors and itself. Nothing is copied per beam, so a user costs T*L + K*(L - 1) token passes
instead of K times the history at every level.
"""

from __future__ import annotations

import torch
from torch import Tensor


class TreeDecoder:
    """The :class:`recbole_store.generator.step.Decoder` for a batch of users.

    Args:
        backbone: has ``forward(inputs, mask, positions, cache, only_at)`` and ``new_cache()``.
        embed: codes [..., l] of the first l levels -> input vectors [..., l, H].
        heads: per level, hidden states [..., H] -> logits [..., C].
        prompt: input vectors before the history, [P, H].
        history: input vectors of the histories' codes, [B, T, L, H], right-padded.
        lengths: items in each history, int64 [B].
        item_seq: item_ids of the histories, [B, T], for whoever scores whole items.
    """

    def __init__(
        self,
        backbone,
        embed,
        heads,
        prompt,
        history: Tensor,
        lengths: Tensor,
        item_seq: Tensor | None = None,
    ):
        self.item_seq, self.lengths = item_seq, lengths
        self.backbone, self.embed, self.heads = backbone, embed, heads
        self.n_users, _, n_levels, _ = history.shape
        prompts = prompt.expand(self.n_users, -1, -1)
        inputs = torch.cat([prompts, history.flatten(1, 2)], dim=1)
        self.end = len(prompt) + lengths * n_levels  # [B], each row's true length
        self.cache = backbone.new_cache()
        self.history_end = backbone(inputs, cache=self.cache, only_at=self.end - 1)  # [B, 1, H]
        place = torch.arange(inputs.size(1), device=inputs.device)
        self._sees_history = place[None] < self.end[:, None]  # [B, S]
        # Of each level's queries so far, in the order in which they were asked: codes of the
        # prefix [B, n, l], and where in the cache, behind the history, each of these was fed.
        self._prefixes: dict[int, Tensor] = {}
        self._fed_at: dict[int, Tensor] = {}
        self._n_fed = 0

    def __call__(self, level: int, parents: Tensor | None, codes: Tensor | None) -> Tensor:
        """Logits of the next code; see :class:`recbole_store.generator.step.Step`."""
        if level == 0:
            return self.heads[0](self.history_end)
        prefixes, fed_at = self._continue(level, parents, codes)
        inputs = self.embed(prefixes)[..., -1, :]  # [B, K, H]
        sees_fed = torch.zeros(
            (*codes.shape, self._n_fed), dtype=torch.bool, device=codes.device
        ).scatter_(2, fed_at, True)
        sees_history = self._sees_history[:, None].expand(-1, codes.size(1), -1)
        sees = torch.cat([sees_history, sees_fed], dim=2)
        mask = torch.zeros(sees.shape, dtype=inputs.dtype, device=inputs.device)
        mask.masked_fill_(~sees, torch.finfo(inputs.dtype).min)
        positions = (self.end + level - 1)[:, None].expand(-1, codes.size(1))
        hidden = self.backbone(inputs, mask=mask[:, None], positions=positions, cache=self.cache)
        return self.heads[level](hidden)

    def restart(self) -> None:
        """Forget all queries; the histories stay read."""
        if self._n_fed > 0:
            self.cache.crop(-self._n_fed)
        self._prefixes, self._fed_at, self._n_fed = {}, {}, 0

    def select(self, users: Tensor) -> None:
        """Drop all users but the given ones, int64 [B']."""
        self.n_users = len(users)
        self.cache.batch_select_indices(users)
        self.end, self.history_end = self.end[users], self.history_end[users]
        self._sees_history = self._sees_history[users]
        self.lengths = self.lengths[users]
        if self.item_seq is not None:
            self.item_seq = self.item_seq[users]
        self._prefixes = {level: rows[users] for level, rows in self._prefixes.items()}
        self._fed_at = {level: rows[users] for level, rows in self._fed_at.items()}

    def _continue(self, level: int, parents: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Put codes [B, K] behind earlier queries, and remember them: both results [B, K, l]."""
        fed_at = self._n_fed + torch.arange(codes.size(1), device=codes.device)
        prefixes, fed_at = codes[..., None], fed_at.expand_as(codes)[..., None]
        self._n_fed += codes.size(1)
        if level > 1:

            def behind_parents(rows: Tensor, own: Tensor) -> Tensor:
                chosen = rows.gather(1, parents[..., None].expand(-1, -1, rows.size(2)))
                return torch.cat([chosen, own], dim=2)

            prefixes = behind_parents(self._prefixes[level - 1], prefixes)
            fed_at = behind_parents(self._fed_at[level - 1], fed_at)
        for kept, new in ((self._prefixes, prefixes), (self._fed_at, fed_at)):
            kept[level] = torch.cat([kept[level], new], dim=1) if level in kept else new
        return prefixes, fed_at
