"""The first word of a command line, and whom it calls."""

from __future__ import annotations

import sys
from importlib import import_module

from recbole_store.cli.commands import COMMANDS, RUNS, overview, version
from recbole_store.cli.run_words import run
from recbole_store.settings.property_files import nearest


def main(argv: list[str] | None = None) -> int:
    """Returns the exit status: 0 done, 1 a run failed, 2 bad input, 130 or 143 interrupted."""
    argv = sys.argv[1:] if argv is None else argv
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
        print(
            f"error: unknown command {first!r}{nearest(first, COMMANDS)}; there are "
            f"{', '.join(COMMANDS)}",
            file=sys.stderr,
        )
        return 2
    if first in RUNS:
        return run(argv[1:], first)
    return import_module(COMMANDS[first]).main(argv[1:])
