"""``recbole-store report``: argument handling only."""

from __future__ import annotations

import argparse
import sys
from datetime import date
from pathlib import Path

from recbole_store.errors import SettingsError
from recbole_store.experiments.report.page.page import page, write_page
from recbole_store.experiments.report.tables.trial_table import trial_tables
from recbole_store.experiments.results.results_folder import read_folder
from recbole_store.settings.arguments import Parser


def parser() -> argparse.ArgumentParser:
    """The command line of the report."""
    p = Parser(
        prog="recbole-store report",
        description="Make one HTML file of a results folder, to look at and to send on.",
        allow_abbrev=False,
    )
    p.add_argument("folder", nargs="?", type=Path, default=Path("results"), metavar="DIR")
    p.add_argument("--out", type=Path, metavar="FILE", help="where to (DIR/report.html)")
    p.add_argument(
        "--data_path", type=Path, default=Path("dataset"), help="data sets with titles (dataset)"
    )
    p.add_argument(
        "--images", metavar="COLUMN", help="item column of image addresses, which the page loads"
    )
    return p


def main(argv: list[str] | None = None) -> int:
    """Returns the exit status: 0 done, 2 bad input."""
    arguments = parser().parse_args(argv)
    folder, broken = arguments.folder, []
    out = arguments.out or folder / "report.html"
    try:
        runs = read_folder(folder, broken)
        trials = trial_tables(folder, broken)
        made = date.today().isoformat()
        text = page(runs, made, folder, arguments.data_path, trials, arguments.images, broken)
        write_page(text, out)
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: Cannot write {out}: {error.strerror or error}.", file=sys.stderr)
        return 2
    for said in broken:
        print(f"{said} It is left out.", file=sys.stderr)
    print(f"{out} ({out.stat().st_size / 1e6:.1f} MB)")
    return 0
