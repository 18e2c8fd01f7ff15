"""TensorBoard's diary of a run: in the run's own folder, and written by one process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path

from recbole.trainer import trainer as recbole_trainer
from torch.utils.tensorboard import SummaryWriter

import recbole_store.processes.ranks as ranks


class _Silent:
    """A diary that nobody keeps."""

    def add_scalar(self, *args, **kwargs):
        """Nothing is written."""

    add_hparams = add_scalar


def write_one_diary() -> None:
    """Let the first of a run's processes alone write a diary."""
    open_diary = recbole_trainer.get_tensorboard

    @wraps(open_diary)
    def get_tensorboard(logger):
        return open_diary(logger) if ranks.is_first() else _Silent()

    recbole_trainer.get_tensorboard = get_tensorboard


@contextmanager
def diary_in(folder: Path | None) -> Iterator[None]:
    """Let trainers that are made meanwhile keep their diary here; None: they keep none.

    RecBole puts it into ``log_tensorboard`` in the working directory, by the name of the log file.
    """
    usual = recbole_trainer.get_tensorboard
    recbole_trainer.get_tensorboard = lambda logger: (
        SummaryWriter(str(folder)) if folder is not None and ranks.is_first() else _Silent()
    )
    try:
        yield
    finally:
        recbole_trainer.get_tensorboard = usual
