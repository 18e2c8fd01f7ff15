"""`make test-pythons`: which Pythons it runs the suite on, and what it says of the others."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from planted_data import ROOT

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")


@pytest.fixture
def make(tmp_path):
    """``make({version: script})`` -> what test-pythons says where these are the interpreters."""

    def run(scripts: dict[str, str]) -> subprocess.CompletedProcess:
        for version in ("3.12", "3.13", "3.14"):
            script = tmp_path / f"python{version}"
            script.write_text(f"#!/bin/sh\n{scripts.get(version, 'exit 127')}\n")
            script.chmod(0o755)
        environment = {**os.environ, "HOME": str(tmp_path)}  # where pyenv has none
        environment["PATH"] = os.pathsep.join([str(tmp_path), environment["PATH"]])
        command = ["make", "--no-print-directory", "-C", str(ROOT), "test-pythons"]
        command.append(f"VENV={tmp_path / 'venv'}")
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    return run


def test_none_is_there(make):
    done = make({})
    said = "".join(f"Python 3.{n}: skipped, there is none.\n" for n in (12, 13, 14))
    assert done.stdout == said and done.returncode == 0


def test_a_suite_that_fails_does_not_keep_the_others_from_running(make, tmp_path):
    """Interpreters that start, and then make no environment."""
    starts = f'[ "$1" = -c ] || {{ echo "$*" >> {tmp_path}/asked; exit 1; }}'
    done = make({"3.12": starts, "3.14": starts})
    assert (tmp_path / "asked").read_text().splitlines() == [
        f"-m venv {tmp_path}/venv-{version}" for version in ("3.12", "3.14")
    ]
    assert "Python 3.13: skipped" in done.stdout
    assert "Failed on Python 3.12 3.14." in done.stdout and done.returncode != 0
