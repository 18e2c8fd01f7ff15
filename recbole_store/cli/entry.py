"""The first word of a command line, and whom it calls."""

from __future__ import annotations

import re
import sys
from importlib import import_module

from recbole_store.cli.commands import COMMANDS, RUNS, overview, version
from recbole_store.cli.run_words import run
from recbole_store.errors import one_sentence
from recbole_store.processes.torchrun import SHARED, alone, n_processes
from recbole_store.settings.property_files import nearest


def main(argv: list[str] | None = None) -> int:
    """Returns the exit status: 0 done, 1 a run failed, 2 bad input, 130 or 143 interrupted."""
    argv = sys.argv[1:] if argv is None else argv
    for word in argv:
        if re.search("[\0\ud800-\udfff]", word):
            print(f"error: {word!r} is no UTF-8: name files so that they are", file=sys.stderr)
            return 2
    first = argv[0] if argv else "--help"
    if first in ("-h", "--help", "help"):
        print(overview())
        return 0
    if first == "--version":
        print(version())
        return 0
    if first.startswith("-"):
        return run(argv)
    if first not in COMMANDS:
        said = f"unknown command {first!r}{nearest(first, COMMANDS)}; there are "
        print(f"error: {one_sentence(said + ', '.join(COMMANDS))}", file=sys.stderr)
        return 2
    if first in RUNS:
        return run(argv[1:], first)
    if n_processes() > 1 and first not in SHARED:
        print(f"error: {alone(first)}", file=sys.stderr)
        return 2
    return import_module(COMMANDS[first]).main(argv[1:])
