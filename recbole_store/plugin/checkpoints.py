"""A trained model's weights: safetensors of ours, and RecBole's checkpoints, which are pickles.

A pickle executes what its author wrote, so torch loads RecBole's checkpoints only where a person
names the file, or where this very process has written it.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

import recbole_store.processes.ranks as ranks
from recbole_store.errors import DamagedState
from recbole_store.tokenizer.tensor_file import read, write

ALLOWED = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"  # what torch >= 2.6 wants to hear before it unpickles
_written: set[Path] = set()  # RecBole's checkpoints of this process


@contextmanager
def unpickling():
    """Let torch load RecBole's checkpoints meanwhile; they hold a Config, not tensors alone."""
    before = os.environ.get(ALLOWED)
    os.environ[ALLOWED] = "1"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(ALLOWED, None)
        else:
            os.environ[ALLOWED] = before


def wrote(checkpoint: str | Path) -> None:
    """Remember a checkpoint of RecBole's that this process has written."""
    _written.add(Path(checkpoint).resolve())


def load_checkpoint(checkpoint: str | Path, device, is_named: bool) -> dict:
    """RecBole's checkpoint; by torch's strict rules, which it breaks, unless it is one to trust.

    Args:
        is_named: whether a person named this very file.
    """
    if not is_named and Path(checkpoint).resolve() not in _written:
        return torch.load(checkpoint, map_location=device, weights_only=True)
    return torch.load(checkpoint, map_location=device, weights_only=False)


def save_weights(path: Path, model: nn.Module) -> None:
    """All that makes a trained model, in one step.

    Raises:
        TypeError: the model holds other things than tensors and plain values.
    """
    write(path, {"weights": model.state_dict(), "other": _other_parameter(model)})


def load_weights(path: Path, model: nn.Module) -> None:
    """Take the weights that a model of the same settings had; the first process reads them.

    Raises:
        DamagedState: the file is damaged, or its weights are another model's.
    """
    found = ranks.from_first(lambda: read(path))
    device = next(model.parameters()).device
    try:
        model.load_state_dict(found["weights"])
    except (RuntimeError, KeyError) as error:
        said = str(error).splitlines()[0].rstrip(":")
        raise DamagedState(f"{path} holds weights of another model ({said}).") from error
    model.load_other_parameter(_on(device, found["other"]))


def _other_parameter(model: nn.Module) -> dict | None:
    """What RecBole's model has beside its weights; parts of the model are among those already."""
    other = model.other_parameter()
    return other and {k: v for k, v in other.items() if not isinstance(v, nn.Module)}


def _on(device, tree):
    """A tree of containers with its tensors on a device."""
    if torch.is_tensor(tree):
        return tree.to(device)
    if isinstance(tree, dict):
        return {key: _on(device, value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(_on(device, value) for value in tree)
    return tree
