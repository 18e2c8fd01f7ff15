"""A run's folder: what goes on in it, what it is known by, and whether it takes what is to come."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from recbole_store.data.writable import check_can_write
from recbole_store.errors import RunError, SettingsError
from recbole_store.experiments.run import run_folder
from recbole_store.experiments.run.run_folder import (
    bytes_of_run,
    can_go_on,
    difference,
    disk_errors,
    is_free,
    opened,
    read_identity,
    write_identity,
)
from recbole_store.settings.profile import Choice, Profile

IDENTITY = {
    "model": "Pop",
    "variant": "",
    "dataset": "planted",
    "models": ["Pop", "BPR"],
    "protocol_hash": "0" * 16,
    "hashed_settings": {"epochs": 3},
}
RUN = Path("saved/run")


def test_a_new_folder_stays_where_the_run_starts():
    with opened(RUN):
        (RUN / "run.log").write_text("begun")
    assert (RUN / "run.log").is_file() and is_free(RUN)


def test_a_refused_run_leaves_nothing():
    with pytest.raises(SettingsError, match="refused"), opened(RUN):
        (RUN / "run.log").write_text("refused")
        raise SettingsError("refused")
    assert not list(Path().iterdir())


def test_a_refused_run_takes_nothing_of_others_with_it():
    RUN.mkdir(parents=True)
    (RUN / "theirs").write_text("a file")
    with pytest.raises(SettingsError), opened(RUN):
        raise SettingsError("refused")
    assert (RUN / "theirs").is_file()
    with pytest.raises(SettingsError), opened(Path("saved/new")):
        raise SettingsError("refused")
    assert Path("saved").is_dir() and not Path("saved/new").exists()


def test_a_run_that_is_refused_behind_a_training_keeps_it():
    with pytest.raises(SettingsError), opened(RUN):
        (RUN / "state" / "tokenizer").mkdir(parents=True)
        (RUN / "state" / "tokenizer" / "000001.safetensors").write_text("some state")
        raise SettingsError("too many items share their codes, say")
    assert (RUN / "state" / "tokenizer" / "000001.safetensors").is_file()


def test_a_run_that_breaks_leaves_its_log():
    with pytest.raises(RunError), opened(RUN):
        (RUN / "run.log").write_text("broken")
        raise RunError("broken")
    assert (RUN / "run.log").is_file()


def test_one_process_a_folder():
    with opened(RUN):
        assert not is_free(RUN)
        with pytest.raises(SettingsError, match=f"process {os.getpid()}"), opened(RUN):
            pytest.fail("must not come here")
        assert RUN.is_dir(), "the first one's"
    with opened(RUN):
        pass


def test_what_was_asked_for_is_found_again():
    RUN.mkdir(parents=True)
    settings = {"epochs": 3, "data_path": "data", "item_text": {"title": "{}"}, "topk": [1, 5]}
    write_identity(RUN, {**IDENTITY, "more": 1}, settings)
    assert read_identity(RUN) == IDENTITY
    kept = json.loads((RUN / "settings.json").read_text())
    assert kept == {**settings, "data_path": str(Path("data").resolve())}


def test_a_run_s_profile_is_kept_whole_or_refused():
    choices = (Choice({"epochs": 3}, "few users"), Choice({"tuning": None}, "no GPU"))
    profile = Profile("auto", {"epochs": 3, "tuning": None}, "", "60 users", choices)
    settings = {"epochs": 5, "tuning": None}
    RUN.mkdir(parents=True)
    write_identity(RUN, {**IDENTITY, "profile": profile.kept(settings)}, settings)
    again = Profile.of_kept(read_identity(RUN)["profile"])
    assert again.kept(settings) == profile.kept(settings)
    assert again.told(settings) == profile.told(settings)
    write_identity(RUN, {**IDENTITY, "profile": {"name": "auto"}}, settings)
    with pytest.raises(SettingsError, match="it has no `profile.said`"):
        read_identity(RUN)


@pytest.mark.parametrize("content", ["", "{", "[]", "3", '{"model": "Pop"}', "\x00"])
def test_what_is_no_run_is_told(content):
    RUN.mkdir(parents=True)
    (RUN / "run.json").write_text(content)
    with pytest.raises(SettingsError, match=r"saved/run holds no run to go on with: .*run.json"):
        read_identity(RUN)


def cut_off(**identity) -> None:
    (RUN / "state" / "recommender").mkdir(parents=True)
    (RUN / "state" / "recommender" / "000001.safetensors").write_text("some state")
    write_identity(RUN, {**IDENTITY, **identity}, {})


def test_a_run_goes_on_if_it_is_the_same_and_has_not_finished():
    assert not can_go_on(RUN, IDENTITY), "there is none"
    cut_off()
    assert can_go_on(RUN, IDENTITY)
    other = {**IDENTITY, "protocol_hash": "1" * 16, "hashed_settings": {"epochs": 5}}
    with pytest.raises(SettingsError, match=r"other settings \(epochs 3, now 5\).*--again"):
        can_go_on(RUN, other)
    with pytest.raises(SettingsError, match="other data"):
        can_go_on(RUN, {**IDENTITY, "protocol_hash": "1" * 16})
    (RUN / "result.json").write_text("{}")
    assert not can_go_on(RUN, other) and not can_go_on(RUN, IDENTITY)
    (RUN / "result.json").unlink()
    shutil.rmtree(RUN / "state")
    assert not can_go_on(RUN, other), "nothing would be lost"


def test_a_setting_that_only_one_of_them_has():
    now = {**IDENTITY, "hashed_settings": {"epochs": 3, "alpha": 1}}
    assert difference(IDENTITY, now) == "other settings (alpha None, now 1)"


@pytest.mark.parametrize("place", ["file", "file/in/it"])
def test_a_folder_that_cannot_be_is_told_before(place):
    Path("file").write_text("in the way")
    with pytest.raises(SettingsError, match=f"Cannot write to {place}: .*; make it .*or move it"):
        check_can_write(Path(place), "move it")


def test_a_folder_that_can_be_is_not_made():
    check_can_write(Path("a/b/c"), "move it")
    assert not list(Path().iterdir())


def test_too_little_room_is_told(monkeypatch):
    monkeypatch.setattr(
        run_folder.shutil, "disk_usage", lambda path: SimpleNamespace(free=1_500_000_000)
    )
    check_can_write(Path("here"), "move it", 1_400_000_000)
    with pytest.raises(SettingsError, match=r"here has 1\.5 GB free, .* up to 2\.0 GB"):
        check_can_write(Path("here"), "move it", 2_000_000_000)


def test_room_for_states_weights_and_checkpoint():
    model = torch.nn.Linear(1000, 1000)
    weights = 4 * 1_001_000
    assert bytes_of_run(model) > (2 + 1) * 3 * weights, "two states and the next, each with Adam's"
    model.requires_grad_(False)
    assert bytes_of_run(model) < 5 * weights + 2**24, "what is frozen is in no state"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
def test_the_disk_s_errors_are_told_in_a_sentence(number):
    with pytest.raises(RunError, match=r"saved/run: .*--resume=saved/run"), disk_errors(RUN):
        raise OSError(number, os.strerror(number))
    with pytest.raises(RunError, match="another/file"), disk_errors(RUN):
        raise OSError(number, os.strerror(number), "another/file")


def test_other_errors_are_not_the_disk_s():
    with pytest.raises(OSError, match="Broken pipe"), disk_errors(RUN):
        raise OSError(errno.EPIPE, os.strerror(errno.EPIPE))
