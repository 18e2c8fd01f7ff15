"""An optimizer whose states the processes of a run share, where a device has no room for all.

Adam keeps two numbers a weight, as many bytes as the weight and its gradient together. Here each
process keeps those of its weights alone, takes the step for them, and tells the others what became
of them: the very step that each of them would have taken for itself (stage 1 of ZeRO, Rajbhandari
et al., SC 2020).

Weights and gradients stay whole. FSDP shares out those as well, but gathers a layer's weights anew
at every call, so all processes must call the LLM equally often; here each reads its own groups of
texts, windows and users, as many as its share has.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch
from torch import Tensor

import recbole_store.processes.ranks as ranks

log = logging.getLogger(__name__)

BYTES = 4  # of a number: weights, gradients and states are fp32
STATES = 2  # of a trained weight, at most
ROOM = 0.8  # share of a device's memory; the rest is for activations


def bytes_needed(n_weights: int, n_trained: int, n_sharing: int = 1) -> int:
    """Of weights, gradients and optimizer states on one device.

    Args:
        n_weights: the other stage's among them, and tables.
        n_trained: of these.
        n_sharing: how many processes share the states.
    """
    return BYTES * (n_weights + n_trained) + BYTES * STATES * n_trained // n_sharing


def is_too_large(n_weights: int, n_trained: int, device_bytes: int) -> bool:
    """Whether all that a training keeps is more than a device has room for."""
    return bytes_needed(n_weights, n_trained) > ROOM * device_bytes


def share_states_if_too_large(
    optimizer: torch.optim.Optimizer, model: torch.nn.Module, device: torch.device
) -> None:
    """Share out the states of an optimizer that has made no step yet, where they do not fit."""
    if ranks.world_size() == 1 or torch.device(device).type != "cuda":
        return
    n_weights = sum(tensor.numel() for tensor in [*model.parameters(), *model.buffers()])
    n_trained = sum(weight.numel() for weight in _weights_of(optimizer))
    there = torch.cuda.get_device_properties(device).total_memory
    if ranks.from_first(lambda: is_too_large(n_weights, n_trained, there)):
        share_states(optimizer)
        log.info(
            "Weights, gradients and optimizer states are %.1f GB, of a GPU of %.1f GB: the "
            "processes share the states, which leaves %.1f GB.",
            bytes_needed(n_weights, n_trained) / 2**30,
            there / 2**30,
            bytes_needed(n_weights, n_trained, ranks.world_size()) / 2**30,
        )


def share_states(optimizer: torch.optim.Optimizer) -> None:
    """Let each process keep the states of its share of the weights.

    From then on ``state_dict`` is the usual one on the first process, and all must call it; a
    state of any number of processes can be loaded.
    """
    weights = _weights_of(optimizer)
    owners = owners_of([weight.numel() for weight in weights], ranks.world_size())
    own = {place for place, owner in enumerate(owners) if owner == ranks.rank()}
    others = [weight for place, weight in enumerate(weights) if place not in own]

    def forget_others(*_) -> None:
        for weight in others:
            weight.grad = None  # without which an optimizer leaves a weight alone

    @torch.no_grad()
    def tell_others(*_) -> None:
        for weight, owner in zip(weights, owners, strict=True):
            ranks.broadcast(weight, owner)

    def gather(_, state: dict) -> dict:
        own_states = {
            place: {
                name: part.cpu() if torch.is_tensor(part) else part for name, part in of.items()
            }
            for place, of in state["state"].items()
        }
        parts = ranks.gather_on_first(own_states)
        whole = {place: of_weight for part in parts for place, of_weight in part.items()}
        return {**state, "state": dict(sorted(whole.items()))}

    def keep_own(_, state: dict) -> dict:
        of_own = {place: found for place, found in state["state"].items() if place in own}
        return {**state, "state": of_own}

    for weight in others:
        optimizer.state.pop(weight, None)  # Adagrad makes them all at once
    optimizer.register_step_pre_hook(forget_others)
    optimizer.register_step_post_hook(tell_others)
    optimizer.register_state_dict_post_hook(gather)
    optimizer.register_load_state_dict_pre_hook(keep_own)


def owners_of(sizes: Sequence[int], n_processes: int) -> list[int]:
    """Which process has each weight: the largest first, to the one that has least.

    Example: sizes [5, 9, 4], of two processes -> [1, 0, 1]
    """
    held = [0] * n_processes
    owners = [0] * len(sizes)
    for place in sorted(range(len(sizes)), key=lambda place: -sizes[place]):
        owners[place] = held.index(min(held))
        held[owners[place]] += sizes[place]
    return owners


def _weights_of(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """In the order of a state dict's numbers."""
    return [weight for group in optimizer.param_groups for weight in group["params"]]
