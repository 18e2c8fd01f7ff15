"""Files of tensors and plain values, checked when they are read, no pickle.

One holds a nested dict of tensors, numbers, texts, lists and dicts, as safetensors: the tensors by
their paths, all else as JSON in the header, with a SHA-256 over both. It is written beside its
place, flushed to the disk and moved there, so that no reader and no crash ever meets half of it.
The tokenizer's cache is such files, and so are the states and the weights of runs.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from recbole_store.errors import DamagedState

SUFFIX = ".safetensors"
FORMAT = "1"  # of the files; another one is not read


def write(path: Path, state: dict) -> None:
    """Write one file in one step.

    Raises:
        TypeError: a value is neither a tensor, nor plain, nor a container of such.
        OSError: the disk is full, say; what was at the place before is still there.
    """
    tensors = _Tensors()
    values = json.dumps(_without_tensors(state, "", tensors))
    header = {"format": FORMAT, "values": values, "sha256": _digest(tensors.found, values)}
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        try:
            save_file(tensors.found, part, header)
        except SafetensorError as error:
            raise _hidden_error(error) from error
        with open(part, "rb") as file:
            os.fsync(file.fileno())
        os.chmod(part, 0o644)  # temporary files are their owner's alone
        os.replace(part, path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # else the name may go with the power
        finally:
            os.close(folder)


def read(path: Path) -> dict:
    """What was written, on the CPU.

    Raises:
        DamagedState: the file is not what was written, or there is none.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in list(file.keys())}
        if header.get("format") != FORMAT:
            raise DamagedState(f"{path} is no file that this version has written.")
        if header["sha256"] != _digest(tensors, header["values"]):
            raise DamagedState(f"{path} is damaged: its checksum is another.")
        return _with_tensors(json.loads(header["values"]), tensors)
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise DamagedState(f"{path} is damaged: {error}.") from error


class _Tensors:
    """Tensors of a file by their paths, on the CPU; memory that two of them share only once."""

    def __init__(self):
        self.found: dict[str, Tensor] = {}
        self._names: dict[tuple, str] = {}

    def add(self, tensor: Tensor, path: str) -> str:
        """Take a tensor; returns the path under which it is found."""
        tensor = tensor.detach()
        layout = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
        if tensor.numel() and layout in self._names:
            return self._names[layout]
        kept = tensor.cpu().contiguous()
        if kept.untyped_storage().nbytes() != kept.nbytes:
            kept = kept.clone()  # a part of a larger one
        if path in self.found:
            raise TypeError(f"two tensors have the path {path}")
        self.found[path] = kept
        self._names[layout] = path
        return path


def _without_tensors(value, path: str, tensors: _Tensors):
    """A tree as JSON has it: containers are tagged, tensors go to ``tensors`` under their paths.

    Example: {"a": [1, tensor]} -> {"dict": [["a", {"list": [1, {"tensor": "a/1"}]}]]}
    """

    def inner(part, key):
        return _without_tensors(part, f"{path}/{key}" if path else str(key), tensors)

    if isinstance(value, Tensor):
        return {"tensor": tensors.add(value, path)}
    if isinstance(value, dict):
        return {"dict": [[_plain(key), inner(part, key)] for key, part in value.items()]}
    if isinstance(value, (list, tuple)):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [inner(part, place) for place, part in enumerate(value)]}
    return _plain(value)


def _plain(value):
    if isinstance(value, np.generic):
        value = value.item()
    if value is not None and not isinstance(value, (bool, int, float, str)):
        raise TypeError(f"a file of tensors holds no {type(value).__name__}")
    return value


def _with_tensors(value, tensors: dict[str, Tensor]):
    """The tree that :func:`_without_tensors` was given."""
    if not isinstance(value, dict):
        return value
    ((kind, inner),) = value.items()
    if kind == "tensor":
        return tensors[inner]
    if kind == "dict":
        return {key: _with_tensors(part, tensors) for key, part in inner}
    found = [_with_tensors(part, tensors) for part in inner]
    return found if kind == "list" else tuple(found)


def _digest(tensors: dict[str, Tensor], values: str) -> str:
    """SHA-256 of the values and of the tensors' names, types, shapes and bytes."""
    found = hashlib.sha256(values.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        found.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(memoryview(tensor.reshape(-1).view(torch.uint8).numpy()))
    return found.hexdigest()


def _hidden_error(error: SafetensorError) -> OSError:
    """The system's error that safetensors tells of in words.

    Example: ``I/O error: No space left on device (os error 28)`` -> OSError(28, "No space left...")
    """
    number = str(error).rpartition("(os error ")[2].rstrip(")")
    if number.isdecimal():
        return OSError(int(number), os.strerror(int(number)))
    return OSError(0, str(error))
