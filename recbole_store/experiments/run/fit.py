"""Training to its end: early stopping, the last epoch, or the hours that it may take."""

from __future__ import annotations

import logging

from recbole.utils import ModelType

import recbole_store.processes.ranks as ranks
from recbole_store.experiments.run.continuation import Continuation
from recbole_store.processes.hardly_learnt import say_if_hardly_learnt

log = logging.getLogger(__name__)


class _HoursSpent(Exception):
    """The next evaluation would come after ``max_hours``."""


def fit(continuation: Continuation, train_data, valid_data, config) -> float:
    """Train to early stopping, ``epochs`` or ``max_hours``; seconds that it took.

    A tokenizer from the cache counts with the time that it took once, so that the hours buy as
    many epochs whatever ran before; the time of a process that was cut off counts as well.
    """
    trainer = continuation.trainer

    def stop_in_time(epoch_idx, valid_score):
        if epoch_idx + 1 >= config["epochs"]:  # it ends anyway
            return
        spent_s = continuation.spent_s + cached_seconds(trainer.model)
        before_s = continuation.trained_s
        continuation.trained_s = spent_s - tokenizer_seconds(trainer.model)
        # The next evaluation will take as long to come as this one did.
        next_s = spent_s + continuation.trained_s - before_s
        if ranks.from_first(lambda: next_s > config["max_hours"] * 3600):
            raise _HoursSpent

    limit = {} if config["max_hours"] is None else {"callback_fn": stop_in_time}
    try:
        trainer.fit(
            train_data,
            valid_data,
            verbose=False,
            show_progress=False,  # RecBole's bars; see run_status.py
            **limit,
        )
    except _HoursSpent:  # the best epoch so far is saved already
        log.info(
            "Stopped: the next evaluation would come after `max_hours` (%s).", config["max_hours"]
        )
    continuation.finish()
    _say_if_hardly_learnt(continuation, train_data, config)
    return continuation.spent_s + cached_seconds(trainer.model)


def _say_if_hardly_learnt(continuation: Continuation, train_data, config) -> None:
    epochs = [row for row in continuation.epochs.epochs if row.get("losses")]
    if not epochs or not hasattr(continuation.trainer.model, "chance_loss"):
        return
    stage = "Stage 2" if hasattr(continuation.trainer.model, "tokenizer_report") else "Training"
    loss, chance = epochs[-1]["losses"][0], continuation.trainer.model.chance_loss
    steps = len(epochs) * len(train_data)
    say_if_hardly_learnt(stage, steps, config["warmup_steps"] or 0, loss, chance)


def tokenizer_seconds(model) -> float:
    """What the tokenizer stage took when it was run, now or earlier; 0 for a model without one."""
    return getattr(model, "tokenizer_report", {}).get("tokenizer_s", 0.0)


def cached_seconds(model) -> float:
    """The same of a tokenizer from the cache; 0 where it was trained just now."""
    is_cached = getattr(model, "tokenizer_report", {}).get("tokenizer_cached")
    return tokenizer_seconds(model) if is_cached else 0.0


def converged(trainer, config) -> bool:
    """Whether more training would have changed nothing: early stopping ended it, or it counts."""
    learns = getattr(trainer, "learns", config["MODEL_TYPE"] != ModelType.TRADITIONAL)
    return not learns or trainer.cur_step > trainer.stopping_step
