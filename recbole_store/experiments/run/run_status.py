"""The status line of a run: around a trainer's methods, in the place of RecBole's bars."""

from __future__ import annotations

import time

from recbole.trainer import Trainer

from recbole_store.processes.status import Status


class RunStatus:
    """Tells a :class:`Status` of every step of training, and of every batch that is ranked.

    Args:
        trainer: nothing is around it yet.
        train_data, valid_data: the run's dataloaders.

    Attributes:
        testing: set once training is over: what is evaluated from then on is the test.
    """

    def __init__(self, status: Status, trainer, train_data, valid_data):
        self.status, self.testing = status, False
        self._trainer, self._n_batches = trainer, len(train_data)
        self._stage = "training"
        if hasattr(trainer, "tokenize_items"):
            self._stage = "stage 2 of 2"
        trainer.status = status  # of what its own fit does before the first epoch
        self._begun_s, self._begun, self._place = time.monotonic(), False, ""
        self._n_evaluated = len(valid_data) if valid_data is not None else 0
        if isinstance(trainer, Trainer):
            self._train_epoch, trainer._train_epoch = trainer._train_epoch, self._train
            self._evaluate, trainer.evaluate = trainer.evaluate, self._evaluated
            for name in ("_full_sort_batch_eval", "_neg_sample_batch_eval"):
                setattr(trainer, name, self._counted(getattr(trainer, name)))

    def _train(self, train_data, epoch_idx, *args, **kwargs):
        trainer = self._trainer
        if getattr(trainer, "learns", True):
            self._place = f"epoch {epoch_idx + 1}/{trainer.epochs}"
        if not self._begun:
            # Of an epoch that goes on within itself the rest is read.
            self._begin(epoch_idx, (epoch_idx + 1) * self._n_batches - len(train_data))
        hook = trainer.optimizer.register_step_post_hook(
            lambda *_: self.status.step("training", self._place)
        )
        try:
            return self._train_epoch(train_data, epoch_idx, *args, **kwargs)
        finally:
            hook.remove()

    def _begin(self, epoch: int, n_done: int) -> None:
        self._begun, trainer = True, self._trainer
        every = trainer.eval_step
        n_evaluations = trainer.epochs // every if every > 0 and self._n_evaluated else 0
        if not getattr(trainer, "learns", True):
            self.status.begin("validation", {"evaluation": self._n_evaluated})
            return
        done = {"training": n_done, "evaluation": 0}
        if n_evaluations:
            done["evaluation"] = epoch // every * self._n_evaluated
        hours = trainer.config["max_hours"]
        spent_s = time.monotonic() - self._begun_s
        self.status.begin(
            self._stage,
            {
                "training": trainer.epochs * self._n_batches,
                "evaluation": n_evaluations * self._n_evaluated,
            },
            done,
            None if hours is None else max(hours * 3600 - spent_s, 0.0),
            ends_early=trainer.stopping_step + 1 < n_evaluations,
        )

    def _evaluated(self, eval_data, *args, **kwargs):
        if self.testing:
            self.status.begin("test", {"evaluation": len(eval_data)})
            self._place = ""
        return self._evaluate(eval_data, *args, **kwargs)

    def _counted(self, score_batch):
        """A trainer's evaluation of a batch."""

        def score(batched_data):
            found = score_batch(batched_data)
            place = f"{self._place}, evaluation" if self._place else ""
            self.status.step("evaluation", place)
            return found

        return score
