"""Whether a model's weights are all there, all used, and numbers.

transformers fills what a file lacks with random numbers and goes on; a run on those would end with
figures like any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import torch
from torch import nn

from recbole_store.errors import BackboneError

EXAMPLES = 3


def check_weights(name: str, part: nn.Module, model: nn.Module, info: dict, spare=None) -> None:
    """Refuse a model whose files do not hold exactly its weights.

    Args:
        name: of the model, for the message.
        part: of the model, which is read; what lies outside of it may be missing.
        info: what ``from_pretrained(..., output_loading_info=True)`` reports.
        spare: whether a weight of the files, by its name, may be left over; None: none may.

    Raises:
        BackboneError: naming weights that are missing, left over, of another shape, or no numbers.
    """
    read = {id(weight) for weight in [*part.parameters(), *part.buffers()]}
    there = model.state_dict(keep_vars=True)
    missing = {w for w in info["missing_keys"] if w in there and id(there[w]) in read}
    left = {w for w in info["unexpected_keys"] if spare is None or not spare(w)}
    other = {
        f"{weight} {list(found)} instead of {list(expected)}"
        for weight, found, expected in info["mismatched_keys"]
    }
    faults = [
        f"{len(weights)} {what} ({_some(weights)})"
        for weights, what in ((missing, "missing"), (left, "left over"), (other, "misshaped"))
        if weights
    ]
    if faults:
        raise BackboneError(
            f"The weights of {name} do not fit its config.json: {', '.join(faults)}; name a model "
            "that is as `save_pretrained` left it."
        )
    broken = [w for w, values in part.state_dict().items() if not _is_finite(values)]
    if broken:
        raise BackboneError(
            f"{len(broken)} of the weights of {name} hold NaN or infinity ({_some(broken)}); name "
            "a model whose weights are numbers."
        )


def cut_layers(model: nn.Module, n_layers: int, n_there: int):
    """Whether a weight is of a layer that was left out on purpose, by its name.

    Args:
        model: with its first ``n_layers`` transformer layers, of ``n_there``.

    Example: 2 of 30 layers -> "model.layers.2.mlp.up_proj.weight" is, "model.norm.weight" is not
    """
    lists = {
        name.split(".")[-1]
        for name, part in model.named_modules()
        if isinstance(part, nn.ModuleList) and len(part) == n_layers
    }
    layer = re.compile(rf"(?:^|\.)(?:{'|'.join(map(re.escape, sorted(lists)))})\.(\d+)\.")

    def is_cut(weight: str) -> bool:
        found = layer.search(weight) if lists else None
        return found is not None and n_layers <= int(found[1]) < n_there

    return is_cut


def _is_finite(values: torch.Tensor) -> bool:
    if not values.is_floating_point() or not values.numel():
        return True
    smallest, largest = values.aminmax()  # NaN comes through both
    return bool(smallest.isfinite() and largest.isfinite())


def _some(names: Iterable[str]) -> str:
    """{"b", "a"} -> "a, b"."""
    names = sorted(names)
    return ", ".join(names[:EXAMPLES]) + (", ..." if len(names) > EXAMPLES else "")
