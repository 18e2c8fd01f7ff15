"""``recbole-store check``: the command line of the check."""

from __future__ import annotations

import sys
from pathlib import Path

from recbole_store.data.check.check_dataset import check
from recbole_store.errors import DataError, SettingsError
from recbole_store.settings.arguments import Parser


def parser() -> Parser:
    """``check DATASET``, by name or by folder."""
    p = Parser(
        prog="recbole-store check",
        description="Read a data set of RecBole atomic files and say what would hurt.",
        epilog="Exit status: 0 nothing changes results, 1 something does or would stop a run, 2 "
        "there is no such data set.",
        allow_abbrev=False,
    )
    p.add_argument("dataset", metavar="DATASET", help="name of the data set, or its folder")
    p.add_argument(
        "--data_path", type=Path, default=Path("dataset"), help="where it lies (dataset)"
    )
    p.add_argument(
        "--config_files",
        nargs="+",
        default=[],
        type=Path,
        metavar="FILE",
        help="RecBole property files, such as those that name other columns",
    )
    return p


def main(argv: list[str]) -> int:
    """Returns the exit status."""
    arguments = parser().parse_args(argv)
    name, data_path = arguments.dataset, arguments.data_path
    if "/" in name or not (data_path / name).is_dir() and Path(name).is_dir():
        folder = Path(name).resolve()
        name, data_path = folder.name, folder.parent
    try:
        checked = check(name, data_path, arguments.config_files)
    except (DataError, SettingsError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    print(
        f"{name}: {checked.n_users:,} users, {checked.n_items:,} items, "
        f"{checked.n_interactions:,} interactions"
    )
    stopping = [f.text for f in checked.findings if f.stops]
    changing = [f.text for f in checked.findings if f.changes_results and not f.stops]
    others = [f.text for f in checked.findings if not f.changes_results]
    sections = {
        "Would stop a run": stopping,
        "Would change results": changing,
        "Worth knowing": others,
    }
    for title, texts in sections.items():
        if texts:
            print(f"\n{title}:")
            print("\n".join(f"- {text}" for text in texts))
    if not stopping and not changing:
        print("\nNothing was found that would change results.")
    return 1 if stopping or changing else 0
