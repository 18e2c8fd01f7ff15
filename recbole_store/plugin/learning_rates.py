"""Learning rates over the steps of a training."""

from __future__ import annotations

import torch


def schedule(
    optimizer: torch.optim.Optimizer,
    warmup_steps: int,
    decay_after: int | None,
    n_steps: int | None = None,
    final_share: float | None = None,
) -> None:
    """Raise the learning rates linearly at first; later let them fall.

    The schedule goes with the optimizer, as its ``rates``.

    Args:
        warmup_steps: over which they rise.
        decay_after: steps after which they fall with the inverse square root of the step; None:
            they do not.
        n_steps, final_share: over which they fall linearly, and to which share of themselves; with
            either None they do not.
    """

    def share(step: int) -> float:
        rise = min((step + 1) / warmup_steps, 1.0) if warmup_steps > 0 else 1.0
        root = 1.0 if decay_after is None else min(1.0, decay_after / (step + 1)) ** 0.5
        line = 1.0
        if n_steps and final_share is not None:
            line -= (1 - final_share) * min(step / n_steps, 1.0)
        return rise * root * line

    rates = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
    optimizer.register_step_post_hook(lambda *_: rates.step())
    optimizer.rates = rates
