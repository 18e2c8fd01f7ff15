"""The processes that torchrun starts for one run: who does what, and what they tell each other.

All of them build the same data and model by the same seeds. The first one alone writes; a step's
rows, the LLM's texts and the users of a ranking are shared out. Without torchrun there is one
process, which does everything, and nothing here costs it anything.

Gradients are summed by one explicit all-reduce a step instead of DistributedDataParallel: a loss
here is several backward passes (micro-batches, text tasks), none of them through ``forward``, in
which a part may touch other weights on each process; and each is a sum over targets that is divided
by those of all processes, where DistributedDataParallel takes a mean of means.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from recbole_store.errors import RunError, SettingsError

# That one process waits for another. The first one fits a quantizer while the others wait; a
# process that ends is noticed at once, so this is for a machine that vanishes from the net.
PATIENCE = timedelta(hours=3)
# After which a process tells of an error that the first one, which is ended with it, may have too.
SECONDS_BEHIND_FIRST = 15
_BUCKET = 2**25  # numbers that are summed at once: 128 MB of fp32


class OthersGone(RunError):
    """Another process of the run has ended, or is not there."""


Made = TypeVar("Made")
_group_of_gpus: list = []  # the group whose tensors are on GPUs, once there is one


@contextmanager
def started() -> Iterator[None]:
    """Join the other processes of torchrun's, where there are any, while the block runs.

    Raises:
        SettingsError: torchrun's variables are not all there.
        RunError: the others cannot be reached.
    """
    if int(os.environ.get("WORLD_SIZE") or 1) == 1:
        yield
        return
    missing = [k for k in ("RANK", "MASTER_ADDR", "MASTER_PORT") if not os.environ.get(k)]
    if missing:
        raise SettingsError(
            f"$WORLD_SIZE is {os.environ['WORLD_SIZE']}, but ${missing[0]} is not set: start the "
            "processes with torchrun, which sets both, or unset it."
        )
    with _reaching_others():
        dist.init_process_group("gloo", timeout=PATIENCE)
    try:
        yield
    finally:
        _group_of_gpus.clear()
        dist.destroy_process_group()


def check_started() -> None:
    """Find out whether torchrun's processes, if there are several, know of each other.

    Raises:
        SettingsError: they do not, and each would do everything.
    """
    n_processes = int(os.environ.get("WORLD_SIZE") or 1)
    if n_processes > 1 and world_size() == 1:
        raise SettingsError(
            f"torchrun has started {n_processes} processes, and each would train the whole model: "
            "let it start run_recbole_store.py, or start one, without torchrun."
        )


def world_size() -> int:
    """How many processes the run has."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """This process's number, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def is_first() -> bool:
    """Whether this is the process that writes and speaks."""
    return rank() == 0


def behind_first() -> None:
    """Give the first process time to tell of an error that all of them have.

    torchrun ends the others as soon as one has failed.
    """
    if int(os.environ.get("RANK") or 0) > 0:
        time.sleep(SECONDS_BEHIND_FIRST)


@contextmanager
def _reaching_others() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # torch.distributed's errors are all of this kind
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise OthersGone(
            "Another process of this run has ended, or cannot be reached any more: what it said "
            "stands above; if the run had begun, go on with --resume, with as many processes as "
            f"you like ({said})."
        ) from error


# Whose share is what


def mine(parts: Sequence | Tensor):
    """This process's share of a sequence, or of a tensor's rows: every ``world_size``-th.

    Example: of two, the second's of [5, 6, 7] -> [6]
    """
    return parts[rank() :: world_size()]


def gpu_of(gpu_id: str) -> str:
    """The GPU of this process: with several of them on a machine each has its own.

    Args:
        gpu_id: of the run; one id is that of the first process's GPU, several are one a process.

    Raises:
        SettingsError: there are fewer GPUs than processes.
    """
    n_here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    ids = [one.strip() for one in str(gpu_id).split(",") if one.strip()]
    if world_size() == 1 or n_here == 1 or not ids or not torch.cuda.is_available():
        return gpu_id
    if len(ids) == 1:
        ids = [str(int(ids[0]) + place) for place in range(n_here)]
    if len(ids) < n_here or torch.cuda.device_count() < n_here:
        raise SettingsError(
            f"torchrun has started {n_here} processes here, but there are "
            f"{min(len(ids), torch.cuda.device_count())} GPUs (`gpu_id` {gpu_id}): start as many "
            "processes, or set `gpu_id` to '' for none."
        )
    return ids[int(os.environ["LOCAL_RANK"])]


def own_device() -> str:
    """Of a process that is told of none: a GPU of its own, where there are GPUs."""
    return f"cuda:{gpu_of('0')}" if torch.cuda.is_available() else "cpu"


# What they tell each other


def from_first(make: Callable[[], Made]) -> Made:
    """What the first process makes, on all; the others wait for it. An error is everybody's.

    ``make`` must not call anything of this module that waits for others.
    """
    if world_size() == 1:
        return make()
    found = [None, None]
    if is_first():
        try:
            found[0] = make()
        except Exception as error:
            with _reaching_others():
                dist.broadcast_object_list([None, _told(error)], src=0)
            raise
    with _reaching_others():
        dist.broadcast_object_list(found, src=0)
    if found[1] is not None:
        raise found[1]
    return found[0]


def _told(error: Exception) -> Exception:
    """An error as another process can raise it."""
    try:
        return type(error)(*error.args)
    except TypeError:  # it wants other arguments than it keeps
        return RunError(f"{type(error).__name__}: {error}")


def gather(value: Made) -> list[Made]:
    """Everybody's value, in the processes' order."""
    if world_size() == 1:
        return [value]
    found: list = [None] * world_size()
    with _reaching_others():
        dist.all_gather_object(found, value)
    return found


def gather_on_first(value: Made) -> list[Made]:
    """Everybody's value on the first process; the others have their own alone."""
    if world_size() == 1:
        return [value]
    found: list | None = [None] * world_size() if is_first() else None
    with _reaching_others():
        dist.gather_object(value, found, dst=0)
    return found or [value]


def all_in_turn(own: list) -> list:
    """What the processes made of their :func:`mine` of some parts, as if one had made all."""
    if world_size() == 1:
        return own
    of_ranks = gather(own)
    n_parts = sum(len(parts) for parts in of_ranks)
    return [of_ranks[part % world_size()][part // world_size()] for part in range(n_parts)]


def sum_over_ranks(tensor: Tensor) -> Tensor:
    """Add up the processes' tensors of one shape, in place; the same digits for all of them."""
    if world_size() > 1:
        with _reaching_others():
            dist.all_reduce(tensor, group=_group_of(tensor))
    return tensor


def _group_of(tensor: Tensor):
    """None is gloo's, for the CPU; GPUs have nccl's, made when a first tensor there is told."""
    if tensor.device.type == "cpu":
        return None
    if not _group_of_gpus:
        _group_of_gpus.append(dist.new_group(backend="nccl", timeout=PATIENCE))
    return _group_of_gpus[0]


class _AllRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx, rows: Tensor, n_rows: int) -> Tensor:
        whole = rows.new_zeros(n_rows, *rows.shape[1:])
        whole[rank() :: world_size()] = rows
        return sum_over_ranks(whole)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        return mine(sum_over_ranks(gradient.clone())), None


def all_rows(rows: Tensor, n_rows: int) -> Tensor:
    """A tensor [n_rows, ...] of which each process has its :func:`mine`, with gradients.

    A row's gradient is the sum of those that the processes' losses give it.
    """
    return rows if world_size() == 1 else _AllRows.apply(rows, n_rows)


@torch.no_grad()
def share_weights(module: torch.nn.Module) -> None:
    """Let all begin with the first process's weights and buffers, to the digit."""
    if world_size() == 1:
        return
    for tensor in [*module.parameters(), *module.buffers()]:
        broadcast(tensor, 0)


def broadcast(tensor: Tensor, source: int) -> None:
    """Let all have a process's tensor, in the place of their own."""
    if world_size() > 1:
        with _reaching_others():
            dist.broadcast(tensor.data, src=source, group=_group_of(tensor))


@torch.no_grad()
def sum_gradients(weights: Sequence[Tensor]) -> None:
    """Add up the processes' gradients. A weight that none of them has used keeps none."""
    if world_size() == 1 or not weights:
        return
    is_used = torch.tensor([weight.grad is not None for weight in weights], dtype=torch.int32)
    is_used = sum_over_ranks(is_used).tolist()
    used = [weight for weight, n in zip(weights, is_used, strict=True) if n]
    for weight in used:
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)
    while used:
        bucket = [used.pop(0)]
        while used and _fits(bucket, used[0]):
            bucket.append(used.pop(0))
        summed = sum_over_ranks(torch.cat([weight.grad.flatten() for weight in bucket]))
        parts = summed.split([weight.numel() for weight in bucket])
        for weight, part in zip(bucket, parts, strict=True):
            weight.grad.copy_(part.view_as(weight))


def _fits(bucket: list[Tensor], weight: Tensor) -> bool:
    kinds = {(one.grad.dtype, one.grad.device) for one in [*bucket, weight]}
    return len(kinds) == 1 and sum(one.numel() for one in [*bucket, weight]) <= _BUCKET


@contextmanager
def own_random() -> Iterator[None]:
    """Let each process draw other numbers meanwhile, dropout's say; then all go on as the first.

    So the first one's random state is the run's: it is drawn from as if there were one process,
    and shuffles everybody's rows.
    """
    if world_size() == 1:
        yield
        return
    if not is_first():
        torch.manual_seed(int(torch.randint(2**62, ())) + rank())
    yield
    state = torch.get_rng_state()
    with _reaching_others():
        dist.broadcast(state, src=0)
    torch.set_rng_state(state)
