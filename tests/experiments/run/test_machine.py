"""What is said of the machine, on any system."""

from __future__ import annotations

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
