"""``recbole-store report``: argument handling only."""

from __future__ import annotations

import argparse
import sys
from datetime import date
from pathlib import Path

from recbole_store.settings.arguments import Parser


def parser() -> argparse.ArgumentParser:
    """The command line of the report."""
    p = Parser(
        prog="recbole-store report",
        description=(
            "Make one HTML file of a comparison's results, to look at and to send on. The map of a "
            "large catalogue takes a minute."
        ),
        allow_abbrev=False,
    )
    p.add_argument(
        "results",
        nargs="?",
        type=Path,
        default=Path("results"),
        metavar="RESULTS_DIR",
        help="folder that a comparison wrote (results)",
    )
    p.add_argument("--out", type=Path, metavar="FILE", help="where to (RESULTS_DIR/report.html)")
    return p


def main(argv: list[str] | None = None) -> int:
    """Returns the exit status: 0 done, 2 bad input."""
    arguments = parser().parse_args(argv)

    # Imported late: --help and wrong arguments answer at once.
    from recbole_store.errors import SettingsError
    from recbole_store.experiments.report.page.data import read_results
    from recbole_store.experiments.report.page.page import write_page

    out = arguments.out or arguments.results / "report.html"
    try:
        write_page(read_results(arguments.results), out, date.today().isoformat())
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: Cannot write {out}: {error.strerror or error}.", file=sys.stderr)
        return 2
    print(f"{out} ({out.stat().st_size / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
