"""RecBole's own launchers: what becomes of `nproc`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from recbole import quick_start

from recbole_store.errors import RunError, SettingsError


class Started:
    """In the place of a process: keeps the command and its config_dict, and leaves a result."""

    status = 0

    def __call__(self, command, env):
        self.command = command
        self.settings = yaml.safe_load(Path(command[-1]).read_text())
        (run_dir,) = (Path(w.split("=")[1]) for w in command if w.startswith("--run_dir="))
        run_dir.mkdir(parents=True)
        result = {"valid_metric": "MRR@5", "valid": {"mrr@5": 0.5}, "test": {"mrr@5": 0.4}}
        (run_dir / "result.json").write_text(json.dumps(result))
        return subprocess.CompletedProcess(command, self.status)


@pytest.fixture
def started(monkeypatch):
    found = Started()
    monkeypatch.setattr(subprocess, "run", found)
    return found


def test_nproc_is_torchrun_s(started, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["run.py", "--nproc=2", "--model=STORE", "--epochs=3", "-v"])
    settings = {"learning_rate": 1e-05, "topk": [1, 5]}
    found = quick_start.run("STORE", "planted", ["a.yaml"], settings, nproc=2)
    assert found["best_valid_score"] == 0.5 and found["test_result"] == {"mrr@5": 0.4}
    command = started.command
    assert "--nproc_per_node=2" in command and "--epochs=3" in command and "a.yaml" in command
    assert command[command.index("-m", 3) + 1] == "recbole_store.cli"
    assert not any(word.startswith(("--nnodes", "--nproc=")) for word in command)
    assert started.settings == settings


def test_several_machines(started):
    where = {"nproc": 2, "world_size": 6, "ip": "first", "port": "77", "group_offset": 4}
    assert quick_start.run("STORE", "planted", **where) is None  # the first machine has it
    wanted = {"--nnodes=3", "--node_rank=2", "--master_addr=first", "--master_port=77"}
    assert wanted <= set(started.command)


def test_what_cannot_be_shared_out_is_a_sentence(started):
    with pytest.raises(SettingsError, match="no multiple of `nproc` 2"):
        quick_start.run("STORE", "planted", nproc=2, world_size=3)
    with pytest.raises(SettingsError, match="what no YAML does"):
        quick_start.run("STORE", "planted", config_dict={"epochs": object()}, nproc=2)
    started.status = 1
    with pytest.raises(RunError, match="failed; what they said stands above"):
        quick_start.run("STORE", "planted", nproc=2)


@pytest.mark.slow
def test_two_processes_of_recbole_s_own_nproc(tiny_settings, tmp_path):
    settings = {**tiny_settings, "epochs": 1, "tokenizer_epochs": 1, "checkpoint_dir": "kept"}
    found = quick_start.run("STORE", "planted", config_dict=settings, nproc=2)
    (path,) = Path("kept").glob("STORE-planted-*/result.json")
    result = json.loads(path.read_text())
    assert result["hardware"]["world_size"] == 2
    assert found["test_result"] == result["test"] and found["best_valid_score"] > 0
