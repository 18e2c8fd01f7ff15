"""What a stage of training is told of that was too short to learn, or has learnt nothing."""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)


def say_if_hardly_learnt(
    stage: str,
    n_steps: int,
    warmup_steps: int,
    loss: float | None = None,
    chance: float | None = None,
) -> None:
    """Warn of a stage that ended in its warm-up, or with a loss that guessing has.

    Args:
        stage: its name, as a person knows it.
        n_steps: of its training; 0: it was not trained, and nothing is said.
        warmup_steps: over which its learning rates rose.
        loss: mean of the last epoch.
        chance: the loss of a model that finds everything equally likely.
    """
    if 0 < n_steps <= warmup_steps:
        log.warning(
            "%s has hardly learnt: it ended after %d steps, and its learning rates rise over %d "
            "(`warmup_steps`). Lower that, or train for more epochs.",
            stage,
            n_steps,
            warmup_steps,
        )
    elif n_steps > 0 and loss is not None and chance is not None and loss >= chance:
        log.warning(
            "%s has learnt nothing: its loss of %.4f is no better than guessing (%.4f).",
            stage,
            loss,
            chance,
        )
