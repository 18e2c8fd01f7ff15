"""What is said of the machine, on any system."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from recbole_store.experiments.run import machine


def usage(peak: int):
    return lambda _: SimpleNamespace(ru_maxrss=peak)


@pytest.mark.parametrize(("platform", "unit"), [("linux", 1024), ("darwin", 1)])
def test_peak_memory_in_its_system_s_unit(monkeypatch, platform, unit):
    peak = SimpleNamespace(RUSAGE_SELF=0, getrusage=usage(3 * 2**30 // unit))
    monkeypatch.setitem(sys.modules, "resource", peak)
    monkeypatch.setattr(machine, "sys", SimpleNamespace(platform=platform))
    assert machine.peak_memory_gb() == 3


def test_peak_memory_on_windows(monkeypatch):
    memory = SimpleNamespace(peak_wset=3 * 2**30)
    process = SimpleNamespace(memory_info=lambda: memory)
    monkeypatch.setitem(sys.modules, "psutil", SimpleNamespace(Process=lambda: process))
    monkeypatch.setitem(sys.modules, "resource", None)
    monkeypatch.setattr(machine, "sys", SimpleNamespace(platform="win32"))
    assert machine.peak_memory_gb() == 3


def test_peak_memory_of_this_process():
    """Python and torch alone take more than a tenth, and this test no more than some GB."""
    assert 0.1 < machine.peak_memory_gb() < 64


def test_a_commit_is_dirty_by_what_figures_come_from_alone(tmp_path, monkeypatch):
    checkout = tmp_path / "checkout"
    module = checkout / "recbole_store" / "experiments" / "run" / "machine.py"
    module.parent.mkdir(parents=True)
    module.write_text("figures")
    (checkout / "results").mkdir()
    (checkout / "results" / "results.csv").write_text("of yesterday")
    monkeypatch.setattr(machine, "__file__", str(module))
    assert machine.git_commit() is None  # no checkout

    def git(*words: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@b.example"]
        command = ["git", "-C", str(checkout), *who, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "--quiet")
    git("add", "--all")
    git("commit", "--quiet", "--message=first")
    head = git("rev-parse", "--short=12", "HEAD")
    (checkout / "results" / "results.csv").write_text("of today")
    assert machine.git_commit() == head
    module.write_text("other figures")
    assert machine.git_commit() == head + "-dirty"
