"""Results folders with files of any content: tables and page of the others, or one sentence."""

from __future__ import annotations

import io
import json
import shutil

import numpy as np
import pytest
from fuzzing import fuzzed, runs_of, trees, with_odd_bytes, with_odd_parts
from hypothesis import given
from hypothesis import strategies as st
from planted_runs import planted_result, write_run

import run_recbole_store
from recbole_store.experiments.results.results_folder import keep

RANKS = [1, 3, 0, 12, 2, 7]
# What a run of STORE says besides.
MORE = {
    "certain_topk": {"unfiltered": {"1": 0.9, "10": 0.5}},
    "cold": {"n_items": 5, "n_users": 8, "metrics": {"cold/full": {"recall@10": 0.125}}},
    "curve": [{"epoch": n, "train_s": 1.0, "valid_s": 1.0, "valid_score": 0.1} for n in range(3)],
    "store": {"tokenizer_s": 3.0, "utilisation": [1.0, 0.5], "collision_rate": 0.25},
    "data_sha256": {"planted.inter": "0" * 64},
    "hardware": {"cpu": "one"},
    "git_commit": "0" * 40,
}
RESULT = planted_result(RANKS, model="STORE", run_dir="saved/run", **MORE)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A results folder of two runs."""
    folder = tmp_path_factory.mktemp("sound")
    keep(write_run(folder / "one", RANKS, model="STORE", **MORE), folder / "results")
    keep(write_run(folder / "two", RANKS[::-1], model="Pop"), folder / "results")
    return folder / "results"


@pytest.fixture
def shown(sound, tmp_path, capsys):
    """``shown(name, content)``: exit statuses of both commands, with that file's content."""

    def show(name: str, content: bytes) -> list[int]:
        shutil.rmtree("results", ignore_errors=True)
        shutil.copytree(sound, "results")
        (tmp_path / "results" / "planted" / name).write_bytes(content)
        commands = (["results", "results"], ["report", "results"])
        return [runs_of(run_recbole_store.main, words, capsys) for words in commands]

    return show


@given(result=with_odd_parts(RESULT))
@fuzzed(25)
def test_fuzzed_results(shown, result):
    assert shown("STORE-seed2020.json", json.dumps(result).encode()) == [0, 0], "Pop is there"


@given(content=with_odd_bytes(json.dumps(RESULT).encode()))
@fuzzed(15)
def test_fuzzed_bytes_of_results(shown, content):
    assert shown("STORE-seed2020.json", content) == [0, 0]


@given(drawn=st.data())
@fuzzed(25)
def test_fuzzed_ranks(sound, shown, drawn):
    """Bytes of an archive, and arrays of other shapes, types and numbers."""
    path = sound / "planted" / "STORE-seed2020.npz"
    content = path.read_bytes()
    if drawn.draw(st.booleans()):
        content = drawn.draw(with_odd_bytes(content))
    else:
        with np.load(path) as found:
            arrays = dict(found)
        name = drawn.draw(st.sampled_from(sorted(arrays)))
        kind = drawn.draw(st.sampled_from(["int64", "uint8", "float32", "U3", "bool", "complex64"]))
        shape = drawn.draw(st.sampled_from([(), (0,), (6,), (41,), (6, 2), (7,)]))
        fill = drawn.draw(st.sampled_from([0, 1, -1, 99]))
        with np.errstate(all="ignore"):
            arrays[name] = np.full(shape, fill).astype(kind)
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        content = buffer.getvalue()
    assert shown("STORE-seed2020.npz", content) == [0, 0]


@given(trials=st.one_of(trees, st.just([{"settings": {}, "valid": {"ndcg@10": 1.0}}])))
@fuzzed(15)
def test_fuzzed_trials(sound, tmp_path, capsys, trials):
    shutil.copytree(sound, "results", dirs_exist_ok=True)
    folder = tmp_path / "results" / "trials" / "planted"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "STORE.json").write_text(json.dumps(trials))
    assert runs_of(run_recbole_store.main, ["results", "results"], capsys) == 0
    assert runs_of(run_recbole_store.main, ["report", "results"], capsys) == 0
