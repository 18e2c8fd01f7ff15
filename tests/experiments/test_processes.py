"""Processes end with whoever started them, and what ended them is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recbole_store.experiments.processes import (
    PROGRAM,
    Terminated,
    environment,
    exit_status,
    reason,
    run_process,
    terminating,
)


def wait_for(path: Path) -> int:
    """The process id that somebody writes there."""
    until = time.monotonic() + 300
    while not path.is_file() or not path.read_text():
        assert time.monotonic() < until
        time.sleep(0.02)
    return int(path.read_text())


def has_ended(pid: int) -> bool:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
            return True
        time.sleep(0.02)
    return False


def test_sigterm_is_an_exception_meanwhile():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated), terminating():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    assert signal.getsignal(signal.SIGTERM) is before
    assert exit_status(Terminated()) == 143 and exit_status(KeyboardInterrupt()) == 130


SLEEPS = """
import os, sys, time
from pathlib import Path
from recbole_store.experiments.processes import end_with_parent
end_with_parent()
Path("sleeping").write_text(str(os.getpid()))
time.sleep(600)
"""
STARTS = """
import sys
from recbole_store.experiments.processes import run_process
run_process([sys.executable, "-c", sys.argv[1]])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a signal of Linux")
def test_a_run_s_process_ends_with_a_comparison_that_is_killed():
    """Else it would go on for hours, and nobody would keep its result."""
    parent = subprocess.Popen([sys.executable, "-c", STARTS, SLEEPS], env=environment())
    child = wait_for(Path("sleeping"))
    parent.kill()
    parent.wait()
    assert has_ended(child)


def test_a_process_whose_parent_is_gone_already_does_not_begin():
    code = "from recbole_store.experiments.processes import end_with_parent; end_with_parent()"
    surroundings = {**environment(), "RECBOLE_STORE_PARENT": "1"}
    if os.getppid() == 1:
        pytest.skip("the first process is the parent of all here")
    done = subprocess.run([sys.executable, "-c", code], env=surroundings)
    assert done.returncode == 143
    assert run_process([sys.executable, "-c", code]) == 0


def write_log(text: str) -> Path:
    run_dir = Path("run")
    run_dir.mkdir()
    (run_dir / "run.log").write_text(text)
    return run_dir


def test_a_process_that_died_is_told_of_by_its_log_s_last_lines():
    run_dir = write_log("one\ntwo\n\nthree\n  RuntimeError: no memory left, say  \n\n")
    said = reason(1, run_dir)
    assert said.startswith("exit status 1; its log run/run.log ends with: RuntimeError: no memory")
    assert said.endswith("(before that: two | three)")
    said = reason(-signal.SIGKILL, run_dir)
    assert said.startswith("ended by signal SIGKILL (out of memory, perhaps); its log")


def test_a_process_that_left_nothing_is_told_of():
    assert reason(1, Path("nowhere")) == "exit status 1; it left no log."
    assert "ends with: nothing" in reason(2, write_log("\n"))


def test_sigterm_of_trials_ends_the_trial_and_keeps_what_has_finished(tmp_path, planted):
    """A stand-in takes the place of the trials' processes: the second one sleeps."""
    folder = tmp_path / "properties" / "trials"
    folder.mkdir(parents=True)
    (folder / "SASRecAll.yaml").write_text("- {hidden_size: 8}\n- {hidden_size: 16}\n")
    code = f"""
import os, sys, time
from pathlib import Path
from recbole_store.experiments import trials, tune

def run_trial(model, dataset, settings, passed_on, *_):
    if settings["hidden_size"] == 16:
        trials.run_process([sys.executable, "-c", {SLEEPS!r}])
    return {{
        "settings": settings,
        "conditions": trials.conditions(passed_on),
        "protocol_hash": trials.hash_of(model, dataset, settings, passed_on),
        **{{"best_epoch": 0, "epochs": 1, "valid": {{"mrr@5": 0.1}}, "valid_metric": "mrr@5"}},
    }}

trials.run_trial = run_trial
tune.properties_folder = lambda: Path({str(tmp_path / "properties")!r})
words = ["--model=SASRecAll", "--dataset=planted", "--results=kept"]
sys.exit(tune.main([*words, "--data_path={planted}"]))
"""
    command = [sys.executable, "-c", code]
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)
    child = wait_for(Path("sleeping"))
    process.send_signal(signal.SIGTERM)
    stdout, _ = process.communicate(timeout=300)
    assert process.returncode == 143
    assert "Stopped: 1 trials are kept." in stdout
    assert has_ended(child)
    assert '"hidden_size": 8' in Path("kept/trials/planted/SASRecAll.json").read_text()


@pytest.mark.slow
def test_a_killed_comparison_goes_on_when_it_is_started_again(tmp_path, planted):
    """With real runs: one finishes, the next is killed with its comparison."""
    words = ["--model=Pop,SASRecAll", "--dataset=planted", f"--data_path={planted}"]
    words += ["--load_col={inter: [user_id, item_id, timestamp]}", "--MAX_ITEM_LIST_LENGTH=6"]
    words += ["--epochs=30", "--stopping_step=99", "--train_batch_size=8", "--results=kept"]
    process = subprocess.Popen([*PROGRAM, *words], env=environment())
    until = time.monotonic() + 300
    while not list(Path("saved").glob("SASRecAll-*/state/*/*.safetensors")):
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.05)
    process.kill()
    process.wait()
    done = subprocess.run([*PROGRAM, *words], env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Pop on planted, seed 2020: finished" in done.stdout
    assert "It was cut off, and goes on in saved/SASRecAll-planted-seed2020-" in done.stdout
    assert "Going on from epoch" in done.stdout
    assert len(list(Path("saved").glob("SASRecAll-*"))) == 1
    assert Path("kept/planted/SASRecAll-seed2020.json").is_file()
