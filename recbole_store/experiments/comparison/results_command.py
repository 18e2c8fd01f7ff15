"""``recbole-store results [DIR] [--add RUN] [--readme FILE]``: a results folder's tables anew."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from recbole_store.errors import SettingsError
from recbole_store.experiments.comparison.readme import write_readme_tables
from recbole_store.experiments.report.tables.tables import console_text
from recbole_store.experiments.report.tables.trial_table import trial_tables
from recbole_store.experiments.results.results_folder import read_folder, remake
from recbole_store.settings.arguments import Parser


def parser() -> argparse.ArgumentParser:
    p = Parser(
        prog="recbole-store results",
        description="Remake results.csv, pairs.csv and protocol.json from the runs that a results "
        "folder holds, and print its tables.",
    )
    p.add_argument("folder", nargs="?", type=Path, default=Path("results"), metavar="DIR")
    p.add_argument(
        "--add",
        nargs="+",
        action="extend",
        default=[],
        type=Path,
        metavar="RUN",
        help="put finished runs into the folder first, such as saved/STORE-shop-...",
    )
    p.add_argument(
        "--replace", action="store_true", help="an added run replaces one that had other settings"
    )
    p.add_argument("--readme", type=Path, metavar="FILE", help="put the tables between its marks")
    return p


def main(argv: list[str] | None = None) -> int:
    """Returns the exit status: 0 done, 2 bad input."""
    arguments, broken = parser().parse_args(argv), []
    try:
        if arguments.add:
            # Imported late: with it come RecBole and torch.
            from recbole_store.experiments.comparison.additions import add

            for run_dir in arguments.add:
                print(f"{add(run_dir, arguments.folder, arguments.replace)} is in it now.")
        runs = read_folder(arguments.folder, broken)
        remake(arguments.folder, runs)
        if arguments.readme:
            trials = trial_tables(arguments.folder, broken)
            write_readme_tables(runs, [t for own in trials.values() for t in own], arguments.readme)
    except (SettingsError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for said in broken:
        print(f"{said} It is left out.", file=sys.stderr)
    print(console_text(runs))
    return 0
