"""What of a run's lines a console is told, and what its file."""

from __future__ import annotations

import io
import logging
import sys

import pytest

from recbole_store.experiments.run.logs import NORMAL, QUIET, VERBOSE, start_logging

COLOURED = "\x1b[1;33mlearner\x1b[0m = adam"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def said(tmp_path, monkeypatch):
    """``said(verbosity, terminal)`` -> what stdout, stderr and the file hold of a few lines."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level

    def run(verbosity: str, out=None) -> tuple[str, str, str]:
        out, err = out or io.StringIO(), io.StringIO()
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        start_logging(tmp_path / "run.log", verbosity)
        root.info(COLOURED)  # as RecBole does
        root.debug("RecBole's detail")
        ours = logging.getLogger("recbole_store.model")
        ours.info("epoch 0")
        ours.debug("our detail")
        ours.error("no model/")
        logging.getLogger("elsewhere").info("chatter")
        return out.getvalue(), err.getvalue(), (tmp_path / "run.log").read_text()

    yield run
    for handler in list(root.handlers):
        if handler not in before:
            root.removeHandler(handler)
            handler.close()
    root.handlers[:], root.level = before, level


def test_a_person_is_told_our_lines_and_the_file_all(said):
    out, err, file = said(NORMAL)
    assert out == "epoch 0\nno model/\n" and err == ""
    assert "learner = adam" in file and "epoch 0" in file and "\x1b" not in file


def test_quiet_leaves_errors(said):
    out, err, file = said(QUIET)
    assert out == "" and err == "no model/\n" and "epoch 0" in file


def test_verbose_adds_recboles_own(said):
    out, _, file = said(VERBOSE)
    lines = ["learner = adam", "RecBole's detail", "epoch 0", "our detail", "no model/"]
    assert out.splitlines() == lines  # no colours: this is no terminal
    assert "\x1b" not in file and "our detail" in file


@pytest.mark.parametrize(("no_colour", "coloured"), [("", True), ("1", False)])
def test_colours_are_for_terminals_that_want_them(said, monkeypatch, no_colour, coloured):
    monkeypatch.setenv("NO_COLOR", no_colour)
    out, _, file = said(VERBOSE, Terminal())
    assert ("\x1b" in out) == coloured and "\x1b" not in file
