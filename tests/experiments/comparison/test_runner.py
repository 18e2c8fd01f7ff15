"""Runs one after the other: a stand-in script takes the place of the models' processes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from planted_runs import planted_result, write_run

from recbole_store.errors import SettingsError
from recbole_store.experiments.comparison import runner
from recbole_store.experiments.comparison.runner import (
    Planned,
    check_seeds,
    cut_off,
    duration,
    is_finished,
    progress,
    run_all,
    time_left,
)
from recbole_store.experiments.results import results_folder
from recbole_store.experiments.results.kept_run import KeptRun
from recbole_store.experiments.results.results_folder import keep, read_runs
from recbole_store.experiments.results.run_key import Run
from recbole_store.experiments.run.run_folder import opened, write_identity

TESTS = Path(__file__).resolve().parents[2]
RESULTS, SAVED = Path("results"), Path("saved")
POP, BPR, FM = (Run("planted", model, "", 2020) for model in ("Pop", "BPR", "FM"))

STAND_IN = f"""
import os, shutil, signal, sys, time
from pathlib import Path
sys.path.insert(0, {str(TESTS)!r})
from planted_runs import write_run

options = dict(word[2:].split("=", 1) for word in sys.argv[1:] if "=" in word)
run_dir = Path(options["run_dir"])
assert "--no_table" in sys.argv and options["told"] == "all"
model, seed = options["model"], int(options["seed"])
if model == "Fails":
    log = run_dir / (run_dir.name + ".log")
    log.write_text("epoch 1\\nRuntimeError: no memory left, say\\n\\n")
    sys.exit(1)
if model == "Killed":
    os.kill(os.getpid(), signal.SIGKILL)
if model == "Sleeps":
    Path("sleeping").write_text(str(os.getpid()))
    time.sleep(60)
ranks, changes = [1, 2, 3, 0], {{}}
if model == "Lies":
    changes["test"] = {{"recall@10": 0.1}}
shutil.rmtree(run_dir)
write_run(run_dir, ranks, model=model, seed=seed, dataset=options["dataset"], **changes)
"""


@pytest.fixture
def command(tmp_path) -> list[str]:
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    return [sys.executable, str(script), "--told=all"]


def run_of(model: str, seed: int = 2020) -> Run:
    return Run("planted", model, "", seed)


def test_every_run_is_kept(command, capfd):
    runs = [run_of("Pop"), run_of("BPR"), run_of("Pop", 2021)]
    outcome = run_all(runs, command, RESULTS, SAVED, {})
    assert outcome.kept == set(runs) and not outcome.failed and not outcome.interrupted
    assert {kept.run for kept in read_runs(RESULTS)} == set(runs)
    assert len(list(SAVED.iterdir())) == 3
    stdout = capfd.readouterr().out
    assert "=== run 1 of 3: Pop on planted, seed 2020 ===" in stdout
    assert "=== run 3 of 3: Pop on planted, seed 2021; spent " in stdout
    assert " s left ===" in stdout, "Pop has run, so its time is known"
    lines = [line for line in stdout.splitlines() if "run 2 of 3" in line]
    assert "at least" in lines[0] and "1 of unknown length" in lines[0]


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("Fails", ["exit status 1", ".log ends with: RuntimeError: no memory left, say"]),
        ("Killed", ["signal SIGKILL", "left no log"]),
        ("Lies", ["recall@10", "one of them is wrong"]),
    ],
)
def test_a_run_that_fails_does_not_stop_the_others(model, says, command, capfd):
    runs = [run_of("Pop"), run_of(model), run_of("BPR")]
    outcome = run_all(runs, command, RESULTS, SAVED, {})
    assert outcome.kept == {runs[0], runs[2]}
    (failed,) = outcome.failed
    assert failed.startswith(f"{model} on planted, seed 2020 failed: ")
    assert all(words in failed for words in says), failed
    assert "The others go on." in capfd.readouterr().err
    assert {kept.run for kept in read_runs(RESULTS)} == {runs[0], runs[2]}


def test_a_results_folder_that_is_full_ends_it(command, monkeypatch):
    """What comes after it would be trained for nothing; what is trained can still be kept."""
    replace_file = results_folder.replace_file

    def fills_up(path, content):
        if path.name == "BPR-seed2020.json":
            raise OSError(28, os.strerror(28))
        replace_file(path, content)

    runs = [run_of("Pop"), run_of("BPR"), run_of("FM")]
    with monkeypatch.context() as patch:
        patch.setattr(results_folder, "replace_file", fills_up)
        outcome = run_all(runs, command, RESULTS, SAVED, {})
    assert outcome.kept == {runs[0]} and not list(SAVED.glob("FM-*"))
    (said,) = outcome.failed
    (run_dir,) = SAVED.glob("BPR-*")
    assert "No space left on device" in said and f"--resume={run_dir} --results=results" in said
    assert not list(RESULTS.glob("planted/BPR*"))
    assert keep(run_dir, RESULTS).run == runs[1]


INTERRUPTED = f"""
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # shells ignore it in background jobs
from pathlib import Path
from recbole_store.experiments.comparison.plan import Run
from recbole_store.experiments.comparison.runner import run_all
from recbole_store.experiments.processes import exit_status, terminating
runs = [Run("planted", model, "", 1) for model in ("Pop", "Sleeps", "BPR")]
with terminating():
    outcome = run_all(runs, sys.argv[1:], Path({str(RESULTS)!r}), Path({str(SAVED)!r}), {{}})
print("kept", sorted(run.model for run in outcome.kept), exit_status(outcome.stopped_by))
"""


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_the_run_and_keeps_what_has_finished(command, told):
    """To the comparison alone, as a job scheduler sends it; a terminal tells both."""
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, *command], stdout=subprocess.PIPE, text=True
    )
    sleeping = Path("sleeping")
    while not sleeping.is_file() or not sleeping.read_text():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(told)
    stdout, _ = process.communicate(timeout=60)
    assert f"kept ['Pop'] {128 + told}" in stdout
    assert "Stopped: 1 of 3 runs finished and are kept." in stdout
    with pytest.raises(ProcessLookupError):
        os.kill(int(sleeping.read_text()), 0)
    assert [kept.run.model for kept in read_runs(RESULTS)] == ["Pop"]


# Runs that were cut off


def begin(name: str, run: Run = POP, protocol_hash: str = "0" * 16, state: bool = True) -> Path:
    """A run's folder as a kill leaves it."""
    folder = SAVED / name
    (folder / "state" / "recommender").mkdir(parents=True)
    if state:
        (folder / "state" / "recommender" / "000001.safetensors").write_text("some state")
    identity = {"model": run.model, "variant": run.variant, "dataset": run.dataset}
    identity |= {"models": [run.model], "protocol_hash": protocol_hash, "hashed_settings": {}}
    write_identity(folder, identity, {})
    return folder


def test_a_run_that_was_cut_off_goes_on_in_its_folder(command, capfd):
    folder = begin("Pop-1")
    begun = cut_off(SAVED, [planned(), Planned(BPR, "1" * 16, {})])
    assert begun == {POP: folder}
    outcome = run_all([POP, BPR], command, RESULTS, SAVED, {}, begun)
    assert outcome.kept == {POP, BPR}
    assert f"It was cut off, and goes on in {folder}." in capfd.readouterr().out
    assert (folder / "result.json").is_file(), "no folder was made for it"
    assert cut_off(SAVED, [planned()]) == {}, "it has finished"


def test_the_last_begun_goes_on():
    begin("Pop-1")
    later = begin("Pop-2")
    os.utime(later / "run.json", (time.time() + 9, time.time() + 9))
    assert cut_off(SAVED, [planned()]) == {POP: later}


@pytest.mark.parametrize("wrong", ["hash", "model", "no state", "broken", "busy"])
def test_other_folders_are_left_alone(wrong):
    run, protocol_hash = POP, "0" * 16
    folder = begin(
        "Pop-1",
        replace(POP, variant="tuned") if wrong == "model" else run,
        "1" * 16 if wrong == "hash" else protocol_hash,
        state=wrong != "no state",
    )
    if wrong == "broken":
        (folder / "run.json").write_text('{"model": "Pop"')
    with opened(folder) if wrong == "busy" else nullcontext():
        assert cut_off(SAVED, [planned()]) == {}


# Finished runs


def keep_pop(**changes) -> None:
    keep(write_run(Path("earlier"), [1, 2], **changes), RESULTS)


def planned(protocol_hash="0" * 16, **settings) -> Planned:
    return Planned(POP, protocol_hash, {"epochs": 3} | settings)


def test_a_run_is_finished_if_its_hash_is_among_the_results():
    assert not is_finished(planned(), RESULTS)
    keep_pop()
    assert is_finished(planned(), RESULTS)
    assert not is_finished(Planned(BPR, "0" * 16, {}), RESULTS), "another model"


def test_a_result_of_the_same_settings_but_older_code_is_run_again():
    keep_pop()
    assert not is_finished(planned("1" * 16), RESULTS)


def test_a_result_of_other_settings_is_not_overwritten_unasked():
    keep_pop()
    with pytest.raises(SettingsError, match=r"Pop-seed2020.json .*\(epochs 3, now 5\).*--replace"):
        is_finished(planned("1" * 16, epochs=5), RESULTS)
    assert not is_finished(planned("1" * 16, epochs=5), RESULTS, replace=True)


def test_a_result_on_other_data_of_the_same_name_is_not_overwritten_unasked():
    keep_pop(data_sha256={"planted.inter": "a"})
    other = replace(planned("1" * 16), data_sha256={"planted.inter": "b"})
    with pytest.raises(SettingsError, match=r"Pop-seed2020.json .*other data .*planted.*--replace"):
        is_finished(other, RESULTS)
    assert not is_finished(other, RESULTS, replace=True)
    same = replace(other, data_sha256={"planted.inter": "a"})
    assert not is_finished(same, RESULTS), "older code"


def test_a_result_with_other_weights_of_an_llm_is_not_overwritten_unasked():
    keep_pop(model_sha256={"backbone": "a"})
    other = replace(planned("1" * 16), model_sha256={"backbone": "b"})
    with pytest.raises(SettingsError, match=r"Pop-seed2020.json .*files of its LLM .*--replace"):
        is_finished(other, RESULTS)
    assert not is_finished(other, RESULTS, replace=True)


def test_seeds_of_another_version_of_the_code_are_not_averaged():
    keep_pop(seed=2021, hashed_settings={"epochs": 3, "seed": 2021}, result_version=1)
    kept, newer = read_runs(RESULTS), replace(planned("1" * 16), result_version=2)
    with pytest.raises(SettingsError, match=r"Pop .*2021 was kept by another version .*--seeds"):
        check_seeds([newer], kept)
    second = replace(newer, run=replace(POP, seed=2021))
    check_seeds([newer, second], kept)  # which is run again


LEAVE_ONE_OUT = {"eval_args": {"split": {"LS": "valid_and_test"}}, "n_test": 2}


def test_a_result_without_its_ranks_is_run_again():
    keep_pop(protocol=LEAVE_ONE_OUT)
    assert is_finished(planned(), RESULTS)
    (RESULTS / "planted" / "Pop-seed2020.npz").unlink()
    assert not is_finished(planned(), RESULTS)


def test_half_a_result_is_run_again():
    keep_pop()
    (RESULTS / "planted" / "Pop-seed2020.json").write_text('{"model": "Pop"')
    assert not is_finished(planned("1" * 16, epochs=5), RESULTS)


def test_seeds_of_other_settings_are_not_averaged():
    keep_pop(seed=2021, hashed_settings={"epochs": 5, "seed": 2021})
    kept = read_runs(RESULTS)
    with pytest.raises(SettingsError, match=r"Pop .*2021 is kept .*\(epochs 5, now 3\)"):
        check_seeds([planned(seed=2020)], kept)
    check_seeds([planned(epochs=5, seed=2020)], kept)
    check_seeds([Planned(BPR, "0" * 16, {"epochs": 3})], kept)
    both = [planned(), Planned(replace(POP, seed=2021), "0" * 16, {"epochs": 3})]
    with pytest.raises(SettingsError, match="--replace"):
        check_seeds(both, kept)
    check_seeds(both, kept, replace=True)


def test_a_result_that_does_not_say_its_settings_is_not_overwritten_unasked():
    keep_pop()
    path = RESULTS / "planted" / "Pop-seed2020.json"
    old = {k: v for k, v in json.loads(path.read_text()).items() if "hash" not in k}
    path.write_text(json.dumps(old))
    with pytest.raises(SettingsError, match="which it does not say"):
        is_finished(planned(), RESULTS)


# Progress


def test_time_left():
    seconds = {("planted", "Pop"): [10, 20], ("films", "BPR"): [100]}
    assert time_left([POP, POP, BPR], seconds) == (30, 1)
    assert time_left([], seconds) == (0, 0)


@pytest.mark.parametrize(
    ("place", "seconds", "said"),
    [
        (1, {}, "run 1 of 3: Pop on planted, seed 2020"),
        (2, {}, "run 2 of 3: BPR on planted, seed 2020; spent 5 min"),
        (1, {"Pop": 60, "BPR": 60, "FM": 60}, "run 1 of 3: Pop .*; about 3 min left"),
        (2, {"FM": 60}, ".*; spent 5 min, at least 60 s left and 1 of unknown length"),
        (2, {"Pop": 60}, "run 2 of 3: BPR on planted, seed 2020; spent 5 min"),
    ],
)
def test_progress(place, seconds, said):
    known = {("planted", label): [value] for label, value in seconds.items()}
    assert re.fullmatch(said, progress(place, [POP, BPR, FM], 300, known))


def test_past_times():
    runs = [KeptRun(planted_result([1], seed=seed), None) for seed in (1, 2)]
    del runs[1].result["times"]["total_s"]
    assert runner.past_times(runs) == {("planted", "Pop"): [110.0]}


@pytest.mark.parametrize(
    ("seconds", "said"), [(40, "40 s"), (600, "10 min"), (5399, "90 min"), (9000, "2.5 h")]
)
def test_duration(seconds, said):
    assert duration(seconds) == said
