"""How far one stage of a training is: kept as it goes on, and found again after a kill."""

from __future__ import annotations

import logging
import random
import time
from pathlib import Path

import numpy as np
import torch

import recbole_store.processes.ranks as ranks
from recbole_store.errors import RunError
from recbole_store.plugin import run_state

log = logging.getLogger(__name__)


class Progress:
    """The states of one stage, with those of all random generators.

    Args:
        folder: of the states.
        minutes: after which a state is due within an epoch; None: at its end alone.

    Attributes:
        spent_before_s: by processes that were cut off, until the state that was loaded.
        spent_s: by this one and them.
    """

    def __init__(self, folder: Path, minutes: float | None):
        self.folder, self.minutes = folder, minutes
        self.spent_before_s = 0.0
        self._started = self._last = time.monotonic()

    @property
    def spent_s(self) -> float:
        return self.spent_before_s + time.monotonic() - self._started

    @property
    def is_due(self) -> bool:
        """Whether the minutes have gone by since the last state."""
        return self.minutes is not None and time.monotonic() - self._last > 60 * self.minutes

    def save(self, state: dict) -> None:
        """Keep a stage's state, and that of the random generators as they are now.

        The first process does, for any number of them to go on from.

        Raises:
            RunError: the disk is full, say.
        """
        if not ranks.is_first():
            self._last = time.monotonic()
            return
        try:
            run_state.save(
                self.folder, {**state, "random": random_state(), "spent_s": self.spent_s}
            )
        except OSError as error:
            raise RunError(
                f"Cannot write the state of the run to {self.folder}: {error.strerror}. Make room, "
                "and go on with --resume."
            ) from error
        self._last = time.monotonic()

    def load(self) -> dict | None:
        """The last good state; None if there is none. The generators are left as they are."""
        state = ranks.from_first(lambda: run_state.load(self.folder))
        self.spent_before_s = state["spent_s"] if state else 0.0
        return state

    def set_random(self, state: dict) -> None:
        """Let the global random generators go on as they were in a state."""
        set_random_state(state["random"])


def random_state() -> dict:
    """State of Python's, NumPy's and torch's global generators."""
    kind, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (kind, keys.tolist(), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_state(state: dict) -> None:
    """Let the global generators go on from there."""
    random.setstate(state["python"])
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
