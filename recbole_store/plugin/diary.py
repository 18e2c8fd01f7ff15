"""A run's diary, by one process: TensorBoard's in the run's folder, MLflow's if asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path

from recbole.trainer import trainer as recbole_trainer
from torch.utils.tensorboard import SummaryWriter

import recbole_store.processes.ranks as ranks
from recbole_store.errors import SettingsError


class _Silent:
    """A diary that nobody keeps."""

    def add_scalar(self, *args, **kwargs):
        """Nothing is written."""

    add_hparams = add_scalar


class _Both(SummaryWriter):
    """TensorBoard's diary, whose figures MLflow is told as well."""

    def __init__(self, folder: Path):
        super().__init__(str(folder))
        # Imported late: who does not ask for it need not have it.
        import mlflow

        self._log_metric = mlflow.log_metric
        try:
            mlflow.start_run(run_name=folder.parent.name)
        except mlflow.exceptions.MlflowException as error:
            raise SettingsError(f"MLflow cannot begin a run: {error}") from error

    def add_scalar(self, tag, scalar_value, global_step=None, *args, **kwargs):
        super().add_scalar(tag, scalar_value, global_step, *args, **kwargs)
        self._log_metric(tag.replace("@", "_at_"), float(scalar_value), step=global_step)


def write_one_diary() -> None:
    """Let the first of a run's processes alone write a diary."""
    open_diary = recbole_trainer.get_tensorboard

    @wraps(open_diary)
    def get_tensorboard(logger):
        return open_diary(logger) if ranks.is_first() else _Silent()

    recbole_trainer.get_tensorboard = get_tensorboard


@contextmanager
def diary_in(folder: Path | None, with_mlflow: bool = False) -> Iterator[None]:
    """Let trainers that are made meanwhile keep their diary here; None: they keep none.

    RecBole puts it into ``log_tensorboard`` in the working directory, by the name of the log file.
    """
    usual = recbole_trainer.get_tensorboard
    diary = _Both if with_mlflow else SummaryWriter
    recbole_trainer.get_tensorboard = lambda logger: (
        diary(folder) if folder is not None and ranks.is_first() else _Silent()
    )
    try:
        yield
    finally:
        recbole_trainer.get_tensorboard = usual
