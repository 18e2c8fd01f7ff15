"""All weights of an LLM twice, a set a training stage: what adapters do for a few of them."""

from __future__ import annotations

import torch
from torch import nn


class StageCopies(nn.Module):
    """The weights of the stage in use are the LLM's own; the other stage's are buffers here.

    Args:
        weights: of the LLM, the same for both stages at first.
        stage: in use at first.
    """

    def __init__(self, weights: list[nn.Parameter], stage: str):
        super().__init__()
        self._weights = tuple(weights)  # the LLM's own, and so no parameters of this module
        self._stage = stage
        for number, weight in enumerate(weights):
            self.register_buffer(f"idle_{number}", weight.detach().clone())

    def use(self, stage: str) -> None:
        """Let a stage's weights read and train."""
        if stage != self._stage:
            for weight, idle in self._pairs():
                weight.data, idle.data = idle.data, weight.data
        self._stage = stage

    def of(self, stage: str) -> list[tuple[nn.Parameter, torch.Tensor]]:
        """The LLM's weights, and the stage's in their places."""
        return [(used, used if stage == self._stage else idle) for used, idle in self._pairs()]

    @torch.no_grad()
    def copy(self, source: str) -> None:
        """Start the other stage's weights from those of ``source``."""
        for used, idle in self._pairs():
            found, other = (used, idle) if source == self._stage else (idle, used)
            other.copy_(found)

    def _pairs(self):
        return zip(self._weights, self.buffers(), strict=True)
