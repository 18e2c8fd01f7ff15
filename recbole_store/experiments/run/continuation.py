"""A training that a kill only interrupts: its state is kept as it goes on, and taken up again.

What is kept at the end of an epoch, and within a long one every ``checkpoint_minutes``, is all that
the digits of the rest depend on: weights, optimizer, learning rates, random generators, the order
of the data, early stopping, the best epoch. A run that goes on from there ends with the very
figures that it would have had.
"""

from __future__ import annotations

import copy
import logging
import os
import shutil
import time
from pathlib import Path

import torch
from recbole.trainer import Trainer

import recbole_store.processes.ranks as ranks
from recbole_store.errors import DamagedState, Diverged, RunError
from recbole_store.experiments.run.epoch_log import EpochLog
from recbole_store.experiments.run.run_folder import STATES
from recbole_store.generator.beam_search import Beams
from recbole_store.plugin import run_state
from recbole_store.plugin.checkpoints import load_weights, save_weights
from recbole_store.plugin.loaders import Rest
from recbole_store.plugin.plugin_trainer import PluginTrainer
from recbole_store.plugin.progress import Progress, set_random_state
from recbole_store.plugin.trainer import SemanticIdTrainer
from recbole_store.tokenizer.tensor_file import read

log = logging.getLogger(__name__)

BEST = "best.safetensors"  # the best epoch's weights, once a run has finished
_BEST_OF = "best-{}.safetensors"  # and meanwhile, by epoch: states name the one that they saw


class Continuation:
    """Around one of RecBole's trainers, which notices nothing.

    All of them find divergence and have their best epoch by weights that are no pickle. States are
    kept of :class:`Trainer` and this package's own alone: RecBole's special trainers have more to
    them than is kept here, so their trainings begin anew.

    Args:
        trainer: nothing is around it yet.
        run_dir: the run's own folder.
        minutes: ``checkpoint_minutes``.

    Attributes:
        epochs: what is said and kept of each epoch.
        spent_before_s: of training in processes that were cut off.
        spent_s: of training, in all of them.
        trained_s: of them until the last evaluation, without the tokenizer.
    """

    def __init__(self, trainer, run_dir: Path, minutes: float | None):
        self.trainer, self.run_dir = trainer, run_dir
        self.progress = Progress(run_dir / STATES / "recommender", minutes)
        self._is_own = isinstance(trainer, PluginTrainer)
        self._of_tokenizer: Progress | None = None
        if isinstance(trainer, SemanticIdTrainer):
            self._of_tokenizer = Progress(run_dir / STATES / "tokenizer", minutes)
            trainer.tokenizer_progress = self._of_tokenizer
        self.is_kept = self._is_own or type(trainer) is Trainer
        self.trained_s = 0.0
        self._started = time.perf_counter()
        self._found: dict | None = None  # a state to go on from, until training does
        self._best_file: Path | None = None
        self._best_models: tuple | None = None  # where no file can hold it
        self._named: list[str | None] = []  # best files of the states that are kept, in turn
        self._epoch, self._batch, self._n_batches = 0, 0, 0  # where training is
        self._losses: float | tuple | None = None  # of the epoch so far, summed as RecBole does
        self._order: torch.Tensor | None = None  # of the loader's generator, as the epoch began
        if isinstance(trainer, Trainer):
            self._wrap()
        self.epochs = EpochLog(trainer)
        # RecBole's name tells the second of a process; a run that goes on has one checkpoint.
        trainer.saved_model_file = str(run_dir / f"{trainer.config['model']}-best.pth")

    @property
    def spent_before_s(self) -> float:
        of_tokenizer = self._of_tokenizer.spent_before_s if self._of_tokenizer else 0.0
        return self.progress.spent_before_s or of_tokenizer

    @property
    def spent_s(self) -> float:
        return self.spent_before_s + time.perf_counter() - self._started

    def _wrap(self) -> None:
        trainer = self.trainer
        self._train_epoch, trainer._train_epoch = trainer._train_epoch, self._train
        self._save, trainer._save_checkpoint = trainer._save_checkpoint, self._save_best
        self._evaluate, trainer.evaluate = trainer.evaluate, self._evaluate_best
        trainer._check_nan = self._check_loss
        trainer._full_sort_batch_eval = self._checked(trainer._full_sort_batch_eval)
        trainer._neg_sample_batch_eval = self._checked(trainer._neg_sample_batch_eval)

    # From the outside

    def find(self) -> bool:
        """Look for a state to go on from; returns whether there is one.

        Without the best epoch's weights there is nothing to go on to: then the run begins anew.
        """
        state = self.progress.load() if self.is_kept else None
        if state is None:
            return False
        if state["best_file"] is not None:
            self._best_file = self.run_dir / state["best_file"]
            try:
                ranks.from_first(lambda: read(self._best_file) and None)
            except DamagedState as error:
                log.info("%s The run begins anew.", error)
                self._best_file = None
                clear(self.run_dir)
                return False
        trainer = self.trainer
        trainer.start_epoch = trainer.epochs if state["is_over"] else state["epoch"]
        trainer.cur_step = state["cur_step"]
        trainer.best_valid_score = state["best_valid_score"]
        trainer.best_valid_result = state["best_valid_result"]
        self.epochs.epochs[:] = state["curve"]
        self.trained_s = state["trained_s"]
        self._named = sorted((path.name for path in self._best_files()), key=_epoch_of)
        self._found = state
        place = f"epoch {state['epoch']}" + (f", step {state['step']}" if state["step"] else "")
        log.info("Going on from %s.", "the test" if state["is_over"] else place)
        return True

    def finish(self) -> None:
        """Keep that training is over: what is left is the test."""
        if self._found is not None:  # it was over before
            if self._is_own:
                self.trainer.set_own_progress(self._found["own"])
            set_random_state(self._found["random"])
        elif self.is_kept:
            self._keep(self._epoch + 1, 0, is_over=True)

    def keep_best(self) -> None:
        """Keep the best epoch's weights under the name that a finished run has them by."""
        if self._best_file is not None and ranks.is_first():
            (self.run_dir / BEST).unlink(missing_ok=True)
            try:
                os.link(self._best_file, self.run_dir / BEST)
            except OSError:  # a file system without links
                shutil.copyfile(self._best_file, self.run_dir / BEST)

    # Around the trainer's methods

    def _train(self, train_data, epoch_idx, loss_func=None, show_progress=False):
        self._epoch, self._batch, self._n_batches = epoch_idx, 0, len(train_data)
        self._losses = None
        if not self.is_kept:
            found = self._train_epoch(train_data, epoch_idx, loss_func, show_progress)
            self._check_weights()
            return found
        if self._found is not None:
            self._take_up(train_data)
        else:
            self._order = train_data.generator.get_state()
            if epoch_idx > 0:
                self._keep(epoch_idx, 0)
        hook = self.trainer.optimizer.register_step_post_hook(self._after_step)
        try:
            rest = Rest(train_data, self._batch) if self._batch else train_data
            found = self._train_epoch(rest, epoch_idx, self._summed(loss_func), show_progress)
        except RuntimeError as error:
            if "without overflow" not in str(error):  # torch's word for a step beyond fp32
                raise
            raise self._diverged(f"a step too large in {self._place()}") from error
        finally:
            hook.remove()
        self._check_weights()
        return found if self._losses is None else self._losses

    def _summed(self, loss_func):
        """The loss function; sums what it returns, since RecBole's sum ends with the process."""
        own = getattr(self.trainer, "training_loss", self.trainer.model.calculate_loss)
        loss_of = loss_func or own

        def summed(interaction):
            losses = loss_of(interaction)
            if isinstance(losses, tuple):
                parts = tuple(loss.item() for loss in losses)
                before = self._losses or (0.0,) * len(parts)
                self._losses = tuple(a + b for a, b in zip(before, parts, strict=True))
            else:
                self._losses = (self._losses or 0.0) + losses.item()
            return losses

        return summed

    def _after_step(self, *_):
        is_within = self._batch < self._n_batches and self._can_stop_here()
        if is_within and ranks.from_first(lambda: self.progress.is_due):
            self._keep(self._epoch, self._batch)

    def _can_stop_here(self) -> bool:
        """Whether nothing is lost of what was read ahead, drawn or built for this epoch."""
        config, trainer = self.trainer.config, self.trainer
        if config["worker"] or trainer.enable_scaler:
            return False
        if self._is_own:
            return self._batch % trainer.reads_ahead == 0
        return type(trainer.model).train is torch.nn.Module.train  # as SGL's, which draws a graph

    def _check_loss(self, loss):
        """In the place of RecBole's ``_check_nan``."""
        self._batch += 1
        if not torch.isfinite(loss).all():
            raise self._diverged(f"the loss is {loss.item()} in {self._place()}")

    def _check_weights(self) -> None:
        """A last step may break what no loss tells of any more."""
        for name, weight in self.trainer.model.named_parameters():
            if weight.requires_grad and not torch.isfinite(weight).all():
                raise self._diverged(f"`{name}` is no number after {self._place()}")

    def _checked(self, score_batch):
        """A trainer's evaluation of a batch; weights may be numbers whose products are none."""

        def score(batched_data):
            found = score_batch(batched_data)
            scores = found[1].log_probs if isinstance(found[1], Beams) else found[1]
            if torch.isnan(scores).any():
                raise self._diverged(f"the model's scores are no numbers after {self._place()}")
            return found

        return score

    @staticmethod
    def _diverged(said: str) -> Diverged:
        return Diverged(f"Training diverged: {said}; lower `learning_rate`.")

    def _place(self) -> str:
        return f"epoch {self._epoch}, step {self._batch}"

    def _save_best(self, epoch, verbose=True, **kwargs):
        if "saved_model_file" in kwargs:  # of a training before the training
            self._save(epoch, verbose, **kwargs)
            return
        if self._found is not None:  # RecBole's word for "no epoch is left"
            return
        trainer, path = self.trainer, self.run_dir / _BEST_OF.format(max(epoch, 0))
        if not ranks.is_first():
            trainer.optimizer.state_dict()  # whose parts the first one gathers, if it is shared out
            self._best_file = path
            return
        checkpoint = Path(trainer.saved_model_file)
        part = checkpoint.with_suffix(".part")
        try:
            if self._is_own:
                trainer.weights_file = path
            else:
                path = self._save_weights(path)
            self._save(epoch, verbose, saved_model_file=str(part))
            os.replace(part, checkpoint)
        except (OSError, RuntimeError) as error:  # torch tells of a full disk in its own way
            part.unlink(missing_ok=True)
            said = getattr(error, "strerror", None) or str(error).splitlines()[0]
            raise RunError(
                f"Cannot write the best epoch's weights to {self.run_dir}: {said}. Make room, and "
                "go on with --resume."
            ) from error
        self._best_file = path

    def _save_weights(self, path: Path) -> Path | None:
        model = self.trainer.model
        try:
            save_weights(path, model)
        except TypeError:  # models that train at once keep matrices of SciPy's
            self._best_models = copy.deepcopy((model.state_dict(), model.other_parameter()))
            return None
        return path

    def _evaluate_best(self, eval_data, load_best_model=True, model_file=None, show_progress=False):
        if load_best_model and model_file is None and eval_data:
            self._load_best()
            load_best_model = False
        return self._evaluate(eval_data, load_best_model, model_file, show_progress)

    def _load_best(self) -> None:
        model = self.trainer.model
        if self._best_file is not None:
            load_weights(self._best_file, model)
        elif self._best_models is not None:
            weights, other = self._best_models
            model.load_state_dict(weights)
            model.load_other_parameter(other)

    # States

    def _keep(self, epoch: int, step: int, is_over: bool = False) -> None:
        """Keep how far training is: before a step of an epoch, or over."""
        training = None if is_over else self._training()
        if not ranks.is_first():
            return
        trainer = self.trainer
        self.progress.save(
            {
                "epoch": epoch,
                "step": step,
                "is_over": is_over,
                "training": training,
                "own": trainer.own_progress() if self._is_own else {},
                "losses": self._losses if step else None,
                "order": self._order,
                "cur_step": trainer.cur_step,
                "best_valid_score": trainer.best_valid_score,
                "best_valid_result": trainer.best_valid_result,
                "best_file": self._best_file and self._best_file.name,
                "curve": self.epochs.epochs,
                "spent_s": self.spent_s,
                "trained_s": self.trained_s,
            }
        )
        self._named = [*self._named, self._best_file and self._best_file.name][-run_state.KEPT :]
        for path in self._best_files():
            if path.name not in self._named:
                path.unlink()

    def _best_files(self) -> list[Path]:
        return list(self.run_dir.glob(_BEST_OF.format("*")))

    def _training(self) -> dict:
        """All that training's next step depends on, but for the data's order."""
        trainer, model = self.trainer, self.trainer.model
        frozen = {name for name, weight in model.named_parameters() if not weight.requires_grad}
        rates = getattr(trainer.optimizer, "rates", None)
        return {
            "weights": {n: t for n, t in model.state_dict().items() if n not in frozen},
            "numbers": {n: v for n, v in vars(model).items() if type(v) in (int, float)},
            "optimizer": trainer.optimizer.state_dict(),
            "rates": rates and rates.state_dict(),
        }

    def _take_up(self, train_data) -> None:
        state, self._found = self._found, None
        training, trainer = state["training"], self.trainer
        model = trainer.model
        left_out, unknown = model.load_state_dict(training["weights"], strict=False)
        trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
        if unknown or trained & set(left_out):
            raise DamagedState(f"{self.progress.folder} holds states of another model.")
        vars(model).update(training["numbers"])
        trainer.optimizer.load_state_dict(training["optimizer"])
        if training["rates"]:
            trainer.optimizer.rates.load_state_dict(training["rates"])
        if self._is_own:
            trainer.set_own_progress(state["own"])
        self._batch, self._losses, self._order = state["step"], state["losses"], state["order"]
        train_data.generator.set_state(self._order)
        set_random_state(state["random"])


def clear(run_dir: Path) -> None:
    """Remove the states of a run, and best epochs that they name."""
    if not ranks.is_first():
        return
    shutil.rmtree(run_dir / STATES, ignore_errors=True)
    for path in run_dir.glob(_BEST_OF.format("*")):
        path.unlink()


def _epoch_of(name: str) -> int:
    """Example: best-12.safetensors -> 12"""
    return int(name.split(".")[0].rpartition("-")[2])
