"""How far stage 1 is, for whoever trains in it: kept as it goes on, found again after a kill."""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from recbole_store.errors import Diverged
from recbole_store.processes.status import SILENT, Status

log = logging.getLogger(__name__)


class StageProgress:
    """The progress of the one training that a stage has; without a place to keep it, of none.

    Args:
        progress: a :class:`recbole_store.plugin.progress.Progress`, or None.
        name: of all that the stage depends on; another stage's states are no use.
        status: says how far the training is, to whoever looks on.

    Attributes:
        found: what the stage found before the run was cut off; None if it was not over.
    """

    def __init__(self, progress=None, name: str = "", status: Status = SILENT):
        self._progress, self._name, self.status = progress, name, status
        state = progress.load() if progress else None
        self._begun = state if state and state["of"] == name else None
        self.found: dict | None = self._begun and self._begun.get("found")

    @property
    def is_kept(self) -> bool:
        return self._progress is not None

    @property
    def spent_before_s(self) -> float:
        """Seconds of processes that were cut off."""
        return self._progress.spent_before_s if self._begun else 0.0

    @property
    def is_due(self) -> bool:
        """Whether it is time to keep how far training is, within an epoch."""
        return self.is_kept and self._progress.is_due

    def keep(self, place: dict, trained: dict[str, Tensor], optimizer) -> None:
        """Keep all that the next step depends on.

        Args:
            place: where training is; tensors and plain values.
            trained: weights by name.
        """
        if self.is_kept:
            rates = getattr(optimizer, "rates", None)
            state = {"place": place, "weights": trained, "optimizer": optimizer.state_dict()}
            self._progress.save({"of": self._name, **state, "rates": rates and rates.state_dict()})

    @torch.no_grad()
    def take_up(self, trained: dict[str, Tensor], optimizer) -> dict | None:
        """Go on from what was kept, the random generators included.

        Returns:
            The place; None: training begins.
        """
        state = self._begun
        if not state or "place" not in state:
            return None
        for name, weight in trained.items():
            weight.copy_(state["weights"][name])
        optimizer.load_state_dict(state["optimizer"])
        if state["rates"]:
            optimizer.rates.load_state_dict(state["rates"])
        self._progress.set_random(state)
        log.info("Going on from tokenizer epoch %d.", state["place"]["epoch"] + 1)
        return state["place"]

    def finish(self, found: dict) -> None:
        """Keep what the stage found: in the run's own folder, whatever becomes of the cache."""
        if self.is_kept:
            self._progress.save({"of": self._name, "found": found})


RATE = "tokenizer_learning_rate"


def check_loss(loss: Tensor, epoch: int, step: int, key: str = RATE) -> None:
    """Find divergence where it begins.

    Args:
        key: of the learning rate.

    Raises:
        Diverged: the loss is no number.
    """
    if not torch.isfinite(loss):
        raise _diverged(f"the loss is {loss.item()} in epoch {epoch}, step {step}", key)


def check_weights(trained: dict[str, Tensor], epoch: int, step: int, key: str = RATE) -> None:
    """A last step may break what no loss tells of any more.

    Raises:
        Diverged: a weight is no number.
    """
    for name, weight in trained.items():
        if not torch.isfinite(weight).all():
            raise _diverged(f"`{name}` is no number after epoch {epoch}, step {step}", key)


def check_vectors(vectors: Tensor, epoch: int, step: int) -> None:
    """Weights may be numbers whose products are none.

    Raises:
        Diverged: what was made of texts is no number.
    """
    if not torch.isfinite(vectors).all():
        said = f"what it makes of texts is no number after epoch {epoch}, step {step}"
        raise _diverged(said, RATE)


def _diverged(said: str, key: str) -> Diverged:
    return Diverged(f"The tokenizer's training diverged: {said}; lower `{key}`.")
