"""``recbole-store results [DIR] [--readme FILE]``: a results folder's tables anew."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from recbole_store.errors import SettingsError
from recbole_store.experiments.report.tables.readme import write_readme_tables
from recbole_store.experiments.report.tables.tables import console_text
from recbole_store.experiments.report.tables.trial_table import trial_tables
from recbole_store.experiments.results.results_folder import remake


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="recbole-store results",
        description="Remake results.csv, pairs.csv and protocol.json from the runs that a results "
        "folder holds, and print its tables.",
    )
    p.add_argument("folder", nargs="?", type=Path, default=Path("results"), metavar="DIR")
    p.add_argument("--readme", type=Path, metavar="FILE", help="put the tables between its marks")
    return p


def main(argv: list[str] | None = None) -> int:
    """Returns the exit status: 0 done, 2 bad input."""
    arguments = parser().parse_args(argv)
    try:
        if not arguments.folder.is_dir():
            raise SettingsError(f"There is no results folder {arguments.folder}.")
        runs = remake(arguments.folder)
        if arguments.readme:
            write_readme_tables(runs, trial_tables(arguments.folder), arguments.readme)
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(console_text(runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
