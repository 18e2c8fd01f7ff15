"""Where a run's lines go: to the console for a person, and all of them to a file with times."""

from __future__ import annotations

import logging
import os
import re
import sys
import warnings
from pathlib import Path

import recbole_store.processes.ranks as ranks
from recbole_store.processes.status import above

QUIET, NORMAL, VERBOSE = "quiet", "normal", "verbose"  # how much a console is told
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class _Plain(logging.Formatter):
    """Without RecBole's colours."""

    def format(self, record: logging.LogRecord) -> str:
        return _COLOURS.sub("", super().format(record))


class _Console(logging.StreamHandler):
    """Lines above the status line, if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            above(self.format(record), self.stream)
        except Exception:  # as every handler of logging: a line that is lost ends no run
            self.handleError(record)


def start_logging(log_file: Path, verbosity: str = NORMAL) -> None:
    """Log to the console for a person, and to a file with times; keep libraries' chatter out.

    Of several processes the first one does.

    Args:
        verbosity: QUIET shows warnings alone, VERBOSE also RecBole's own lines, its settings among
            them, and those for debugging.
    """
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    if not ranks.is_first():
        quiet_libraries()
        return
    is_verbose = verbosity == VERBOSE
    console = _Console(sys.stderr if verbosity == QUIET else sys.stdout)
    coloured = console.stream.isatty() and not os.environ.get("NO_COLOR")
    console.setFormatter((logging.Formatter if coloured else _Plain)("%(message)s"))
    console.setLevel(logging.WARNING if verbosity == QUIET else logging.NOTSET)
    names = ("recbole_store", "root") if is_verbose else ("recbole_store",)
    console.addFilter(lambda record: record.name.startswith(names))
    file = logging.FileHandler(log_file, encoding="utf-8")
    file.setFormatter(_Plain("%(asctime)s %(levelname)s %(message)s"))
    root.setLevel(logging.DEBUG if is_verbose else logging.INFO)
    for handler in (console, file):
        root.addHandler(handler)
    quiet_libraries()


def quiet_libraries() -> None:
    """Keep warnings out that say nothing to the person who runs a model."""
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.NullHandler())
    # On every run RecBole fills columns in ways that pandas 2 warns about, and torch reminds of
    # the checkpoints it is allowed to load.
    warnings.filterwarnings("ignore", module=r"recbole\.")
    for name in ("transformers", "huggingface_hub", "peft", "accelerate"):
        logging.getLogger(name).setLevel(logging.ERROR)
