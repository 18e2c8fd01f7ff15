"""Files of tensors and values: what is read is what was written, or nothing."""

from __future__ import annotations

import errno
import json
import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from recbole_store.errors import DamagedState
from recbole_store.plugin.progress import random_state, set_random_state
from recbole_store.tokenizer import tensor_file

PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
KEYS = st.text() | st.integers() | st.none()
TREES = st.recursive(
    PLAIN, lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(KEYS, inner)
)


@given(tree=TREES)
@settings(max_examples=100, deadline=None)
def test_plain_values_come_back_as_they_were(tmp_path_factory, tree):
    path = tmp_path_factory.mktemp("state") / "a.safetensors"
    tensor_file.write(path, {"tree": tree})
    assert tensor_file.read(path) == {"tree": tree}


def tensors() -> dict:
    whole = torch.arange(12.0).view(3, 4)
    return {
        "whole": whole,
        "transposed": whole.T,
        "part": whole[:, 1],
        "again": [whole, {"deep": (whole,)}],
        "empty": torch.zeros(0, 3),
        "number": torch.tensor(3),
        "bf16": torch.ones(3, dtype=torch.bfloat16),
        "bytes": torch.arange(5, dtype=torch.uint8),
        "flags": torch.tensor([True, False]),
    }


def test_tensors_of_all_kinds_come_back(tmp_path):
    path = tmp_path / "a.safetensors"
    tensor_file.write(path, tensors())
    found = tensor_file.read(path)
    for name, tensor in tensors().items():
        if name != "again":
            assert torch.equal(found[name], tensor) and found[name].dtype == tensor.dtype, name
    assert torch.equal(found["again"][1]["deep"][0], tensors()["whole"])
    assert path.stat().st_size < 12 * 4 * 4 + 2000, "memory that is shared is written once"


def test_an_optimizer_goes_on_as_if_nothing_had_been(tmp_path):
    def steps(n: int, optimizer, weight) -> None:
        for step in range(n):
            optimizer.zero_grad()
            ((weight - step).square().sum()).backward()
            optimizer.step()

    def fresh():
        weight = torch.nn.Parameter(torch.ones(4))
        return weight, torch.optim.AdamW([weight], lr=0.1)

    whole, optimizer = fresh()
    steps(3, optimizer, whole)
    tensor_file.write(tmp_path / "a", {"weight": whole, "optimizer": optimizer.state_dict()})
    steps(3, optimizer, whole)

    again, other = fresh()
    found = tensor_file.read(tmp_path / "a")
    again.data.copy_(found["weight"])
    other.load_state_dict(found["optimizer"])
    steps(3, other, again)
    assert torch.equal(again, whole)


def test_the_generators_go_on(tmp_path):
    def drawn() -> list:
        return [random.random(), np.random.standard_normal(3).tolist(), torch.rand(3).tolist()]

    np.random.standard_normal(1)  # of two that are drawn at once one is waiting
    tensor_file.write(tmp_path / "a", random_state())
    expected = drawn()
    drawn()
    set_random_state(tensor_file.read(tmp_path / "a"))
    assert drawn() == expected


@pytest.mark.parametrize("value", [object(), b"bytes", {1, 2}, Path("a"), np.zeros(3)])
def test_what_is_neither_tensor_nor_plain_is_no_state(tmp_path, value):
    with pytest.raises(TypeError):
        tensor_file.write(tmp_path / "a", {"value": value})
    assert not list(tmp_path.iterdir())


def test_any_flipped_byte_is_noticed(tmp_path):
    path = tmp_path / "a"
    tensor_file.write(path, {"epoch": 7, "weight": torch.arange(3.0), "name": "x"})
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            found = tensor_file.read(path)
        except DamagedState:
            continue
        assert found["epoch"] == 7 and found["name"] == "x", place  # padding of the header
        assert torch.equal(found["weight"], torch.arange(3.0)), place


def test_a_file_of_somebody_else_is_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file({"weight": torch.ones(2)}, path)
    with pytest.raises(DamagedState, match="this version"):
        tensor_file.read(path)
    values = json.dumps({"dict": []})
    header = {"format": "0", "values": values, "sha256": ""}
    save_file({"weight": torch.ones(2)}, path, header)
    with pytest.raises(DamagedState, match="this version"):
        tensor_file.read(path)


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "a"
    tensor_file.write(path, {"number": 1})

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tensor_file.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        tensor_file.write(path, {"number": 2})
    assert tensor_file.read(path) == {"number": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_the_system_s_own_error_is_told(tmp_path):
    words = "Error while serializing: I/O error: No space left on device (os error 28)"
    error = tensor_file._hidden_error(tensor_file.SafetensorError(words))
    assert (error.errno, error.strerror) == (errno.ENOSPC, "No space left on device")
    assert "odd" in tensor_file._hidden_error(tensor_file.SafetensorError("something odd")).strerror
