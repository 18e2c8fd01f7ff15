"""Run folders with files of any content go on, begin anew, or are refused in one sentence."""

from __future__ import annotations

import json
import shutil

import pytest
from fuzzing import fuzzed, runs_of, with_odd_bytes, with_odd_parts
from hypothesis import given
from hypothesis import strategies as st
from planted_store import working_in

import run_recbole_store
from recbole_store.experiments.run.run import run_model
from recbole_store.plugin.progress import Progress
from recbole_store.settings.resolve import resolve


class CutOff(BaseException):
    """In the place of a kill."""


@pytest.fixture(scope="module")
def cut_off(planted, tmp_path_factory):
    """The folder of a run that was cut off behind its second epoch."""
    folder = tmp_path_factory.mktemp("cut_off")
    typed = {"data_path": planted, "epochs": 3, "hidden_size": 8, "inner_size": 8, "gpu_id": ""}
    typed |= {"MAX_ITEM_LIST_LENGTH": 4, "train_batch_size": 512, "n_layers": 1}
    typed = {key: str(value) for key, value in typed.items()}
    settings = {**resolve("SASRecAll", "planted", [], typed), "show_progress": False}
    save, saved = Progress.save, []

    def save_some(self, state):
        save(self, state)
        saved.append(state)
        if len(saved) == 2:
            raise CutOff

    with working_in(folder), pytest.MonkeyPatch.context() as patch, pytest.raises(CutOff):
        patch.setattr(Progress, "save", save_some)
        run_model("SASRecAll", "planted", settings, folder / "run")
    return folder / "run"


@given(drawn=st.data())
@fuzzed(15)
def test_fuzzed_run_folders(cut_off, tmp_path, capsys, drawn):
    shutil.rmtree("run", ignore_errors=True)
    shutil.copytree(cut_off, "run")
    paths = sorted(path for path in cut_off.rglob("*") if path.is_file() and path.suffix != ".log")
    path = drawn.draw(st.sampled_from(paths))
    if path.suffix == ".json" and drawn.draw(st.booleans()):
        tree = drawn.draw(with_odd_parts(json.loads(path.read_text())))
        content = json.dumps(tree).encode()
    else:
        content = drawn.draw(with_odd_bytes(path.read_bytes()))
    (tmp_path / "run" / path.relative_to(cut_off)).write_bytes(content)
    runs_of(run_recbole_store.main, ["--resume=run", "--no_table"], capsys)
