"""``recbole-store prepare``: the command line of preparation."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from recbole_store.data.prepare.database import MEMORY
from recbole_store.data.prepare.dataset_folder import check_target
from recbole_store.data.prepare.interactions import DUPLICATES, TIE_UNITS, TIES
from recbole_store.data.prepare.prepare_dataset import Choices, Filters, prepare
from recbole_store.data.prepare.rejected_rows import BAD_ROWS
from recbole_store.data.prepare.sources import SOURCES
from recbole_store.data.prepare.times import from_any
from recbole_store.errors import BadValue, DataError, SettingsError
from recbole_store.settings.arguments import Parser, at_least_one, memory_size
from recbole_store.settings.property_files import nearest

EPILOG = """\
Then, with NAME the name of the folder:
  recbole-store check NAME
  recbole-store --model=STORE --dataset=NAME
{pages} has a page for every source: where to get the raw files, and what to expect.
`recbole-store prepare SOURCE --help` lists all arguments of a source.
"""


def pages_folder() -> Path:
    """The pages on data sets: in an installed wheel, or beside the package in a checkout."""
    package = Path(__file__).resolve().parents[2]
    installed = package / "dataset_pages"
    return installed if installed.is_dir() else package.parent / "dataset"


def parser() -> argparse.ArgumentParser:
    """``prepare SOURCE --raw PATH --out dataset/NAME`` and the filters."""
    p = Parser(
        prog="recbole-store prepare",
        description="Turn raw data into RecBole atomic files with item texts and a data card.",
        epilog=EPILOG.format(pages=pages_folder()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    sources = p.add_subparsers(dest="source", metavar="SOURCE", required=True, parser_class=Parser)
    for name, source in SOURCES.items():
        s = sources.add_parser(
            name, help=source.summary, description=f"Source: {source.summary}.", allow_abbrev=False
        )
        s.add_argument(
            "--raw",
            nargs="+",
            type=Path,
            required=True,
            metavar="PATH",
            help="raw files, or a folder or zip archive that holds them",
        )
        s.add_argument(
            "--out", type=Path, required=True, metavar="dataset/NAME", help="folder to be written"
        )
        source.add_arguments(s)
        add_filters(s, source.k_core)
    return p


def add_filters(p: argparse.ArgumentParser, k_core: int) -> None:
    """Flags of what stays, and of reading and writing; ``k_core`` is the source's default."""
    group = p.add_argument_group("filters, in the order of their work")
    group.add_argument("--since", metavar="TIME", help="drop what is earlier (number or ISO date)")
    group.add_argument("--until", metavar="TIME", help="drop this time and what is later")
    group.add_argument(
        "--ties_within",
        choices=TIE_UNITS,
        help="cut times to whole seconds or days: what a user has within one is one basket "
        "(times stay as they are)",
    )
    group.add_argument(
        "--ties",
        choices=TIES,
        default="file",
        help="rows of a user at one time stand in the file's order, or in a random one (file)",
    )
    group.add_argument(
        "--duplicates",
        choices=DUPLICATES,
        default="exact",
        help="exact: drop rows of the same user, item and time; first, last: one row a user and "
        "item; keep: drop none (exact)",
    )
    group.add_argument(
        "--max_history", type=at_least_one, metavar="N", help="keep each user's latest N"
    )
    group.add_argument(
        "--k_core",
        type=at_least_one,
        default=k_core,
        metavar="K",
        help="drop users and items with fewer than K, until none has fewer; 1 drops none "
        f"({k_core})",
    )
    group.add_argument(
        "--min_history",
        type=at_least_one,
        default=1,
        metavar="N",
        help="drop users with fewer than N as well",
    )
    group.add_argument(
        "--keep_all_items",
        nargs="?",
        choices=("yes", "no"),
        const="yes",
        metavar="yes|no",
        help="items that nobody has, or that a filter left without interactions, stay in the "
        "catalogue and are ranked (of a table with texts yes, else no)",
    )
    group = p.add_argument_group("reading and writing")
    group.add_argument(
        "--bad_rows",
        choices=BAD_ROWS,
        default="stop",
        help="rows that cannot be read: stop at the first, or skip them all and list them, with "
        "line and reason, in NAME.rejected.tsv (stop)",
    )
    group.add_argument("--force", action="store_true", help="replace a data set prepared earlier")
    group.add_argument(
        "--memory",
        type=memory_size,
        default=MEMORY,
        metavar="SIZE",
        help=f"working memory of filters and sorting ({MEMORY}); the rest goes to the disk",
    )


def main(argv: list[str]) -> int:
    """Returns the exit status: 0 done, 2 bad input, 130 interrupted."""
    p = parser()
    if argv and not argv[0].startswith("-") and argv[0] not in SOURCES:
        p.error(
            f"unknown source {argv[0]!r}{nearest(argv[0], SOURCES)}; known: {', '.join(SOURCES)}"
        )
    arguments = p.parse_args(argv)
    try:
        source = SOURCES[arguments.source](arguments.source, arguments)
        check_target(arguments.out, arguments.force)
        card = prepare(
            source,
            source.find(arguments.raw),
            arguments.out,
            Choices(
                Filters(
                    since=_time("--since", arguments.since),
                    until=_time("--until", arguments.until),
                    ties_within=arguments.ties_within,
                    ties=arguments.ties,
                    duplicates=arguments.duplicates,
                    max_history=arguments.max_history,
                    k_core=arguments.k_core,
                    min_history=arguments.min_history,
                ),
                bad_rows=arguments.bad_rows,
                keep_all_items={"yes": True, "no": False, None: None}[arguments.keep_all_items],
                memory=arguments.memory,
                command=shlex.join(["recbole-store", "prepare", *argv]),
            ),
            force=arguments.force,
            say=lambda line: print(line, flush=True),
        )
    except (DataError, SettingsError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error.filename or arguments.out}: {error.strerror}.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"interrupted: {arguments.out} was not written.", file=sys.stderr)
        return 130
    items, catalogue = card["items"], card["text"]["items"]
    print(
        f"{arguments.out}: {card['users']:,} users, {items:,} items"
        f"{f' of {catalogue:,}' if items < catalogue else ''}, "
        f"{card['interactions']:,} interactions; see {card['name']}.card.md there."
    )
    return 0


def _time(option: str, text: str | None):
    try:
        return None if text is None else from_any(text)
    except BadValue as error:
        raise DataError(f"{option}: {error}.") from error
