"""What a search asks of a model: a *step* for the next code's logits, a *decoder* to go on with."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Step(Protocol):
    """Logits of the next code, level by level."""

    def __call__(self, level: int, parents: Tensor | None, codes: Tensor | None) -> Tensor:
        """Logits, fp32, of level ``level``'s codes.

        Level 0: parents and codes are None; logits [B, 1, C_0] behind each user's history.
        Level l: query k continues ``parents[:, k]``, one of the queries of level l - 1 in the order
        in which they were asked, with ``codes[:, k]``, a code of level l - 1; logits [B, K, C_l]
        behind that. At level 1 there is one such query, the history's end.
        """


class Decoder(Step, Protocol):
    """A step for a batch of users that a search may narrow down, and ask again.

    Attributes:
        n_users: B.
    """

    n_users: int

    def select(self, users: Tensor) -> None:
        """Drop all users but the given ones, int64 [B']."""

    def restart(self) -> None:
        """Forget all queries; what was read of the histories stays."""
