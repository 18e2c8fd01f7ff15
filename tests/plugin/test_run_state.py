"""A folder of states: the last good one is found."""

from __future__ import annotations

import pickle

import pytest
import torch

from recbole_store.errors import DamagedState
from recbole_store.plugin import run_state


def test_the_last_two_states_are_kept(tmp_path):
    for number in range(5):
        run_state.save(tmp_path / "states", {"number": number})
    assert len(list((tmp_path / "states").iterdir())) == 2
    assert run_state.load(tmp_path / "states") == {"number": 4}


@pytest.mark.parametrize("place", ["first", "header", "middle", "last", "cut", "empty", "pickle"])
def test_a_damaged_state_is_left_out(tmp_path, place, caplog):
    run_state.save(tmp_path, {"number": 1, "weight": torch.rand(100)})
    newest = run_state.save(tmp_path, {"number": 2, "weight": torch.rand(100)})
    content = bytearray(newest.read_bytes())
    at = {"first": 0, "header": 60, "middle": len(content) // 2, "last": -1}
    if place in at:
        content[at[place]] ^= 4
    other = {"cut": content[:-7], "empty": b"", "pickle": pickle.dumps({"number": 3})}
    newest.write_bytes(other.get(place, bytes(content)))
    with pytest.raises(DamagedState, match=newest.name):
        run_state.read(newest)
    assert run_state.load(tmp_path)["number"] == 1
    for path in tmp_path.iterdir():
        path.write_bytes(b"nothing")
    assert run_state.load(tmp_path) is None
