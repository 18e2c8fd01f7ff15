"""``recbole-store recommend``: lists behind one history, or behind all of a file."""

from __future__ import annotations

import itertools
import sys
from contextlib import nullcontext
from pathlib import Path

from recbole_store.errors import RequestError
from recbole_store.recommender.commands.asking import answer, listed, load, model_parser, show
from recbole_store.settings.arguments import Parser, at_least_one

EPILOG = """\
The history's items are raw ids, the latest last; a user's whole history counts, the last item too.
FILE is .csv, .tsv, .jsonl or .parquet, by its name: a row an interaction (user_id, item_id; in the
order of time, each user's rows together), or a row a history (items, user_id). Items that the model
does not have are left out of histories in files, and counted. Processes of torchrun
share the histories of a file.
"""
COLUMNS = ["user_id", "rank", "item_id", "title", "score", "semantic_id"]


def parser() -> Parser:
    """``recommend MODEL`` and where histories come from."""
    p = model_parser("recommend", "Recommend items behind histories.", EPILOG)
    what = p.add_mutually_exclusive_group(required=True)
    what.add_argument("--items", type=listed, metavar="A,B", help="one history")
    what.add_argument("--user", metavar="U", help="a user of --dataset")
    what.add_argument("--histories", type=Path, metavar="FILE", help="many, to be written to --out")
    p.add_argument("--dataset", metavar="NAME", help="whose interactions --user reads")
    p.add_argument(
        "--data_path", type=Path, default=Path("dataset"), help="where it lies (dataset)"
    )
    p.add_argument("--out", type=Path, metavar="FILE", help="table of the lists of --histories")
    p.add_argument("-k", type=at_least_one, default=10, metavar="N", help="items of a list (10)")
    p.add_argument("--include_seen", action="store_true", help="keep a history's own items")
    p.add_argument(
        "--only",
        type=Path,
        metavar="FILE",
        help="items that may be recommended: a table with item_id, or a .txt of one id a line",
    )
    return p


def main(argv: list[str]) -> int:
    """Returns the exit status: 0 done, 2 bad input, 130 interrupted."""
    p = parser()
    arguments = p.parse_args(argv)
    if arguments.user is not None and not arguments.dataset:
        p.error("--user needs --dataset NAME, whose interactions are read")
    if (arguments.histories is None) != (arguments.out is None):
        p.error("--histories FILE and --out FILE go together")
    return answer(lambda: _recommend(arguments))


def _recommend(arguments) -> int:
    from recbole_store.recommender.history_files import user_history
    from recbole_store.recommender.table_files import kind_of

    if arguments.out is not None:
        kind_of(arguments.out)  # before the model is loaded
    store = load(arguments)
    only = None if arguments.only is None else store.mask(_ids(arguments.only))
    if arguments.histories is not None:
        return _many(store, arguments, only)
    options = {"k": arguments.k, "exclude_seen": not arguments.include_seen}
    if only is not None:
        options["only"] = only[1:].numpy()
    if arguments.items is not None:
        show(store.recommend(items=arguments.items, **options))
        return 0
    settings = store.config["settings"]
    items = user_history(arguments.user, arguments.dataset, arguments.data_path, settings)
    known = store.catalogue.known(items)
    if len(known) < len(items):
        print(f"{len(items) - len(known)} items of the history are unknown.", file=sys.stderr)
    frame = store.recommend([items], users=[arguments.user], unknown="skip", **options)
    show(frame.drop(columns=["user_id", "rank"]))
    return 0


def _many(store, arguments, only) -> int:
    """Read, rank and write some thousand histories at a time, whatever the number of all.

    Of several processes all read the file, each ranks a share, and the first one writes.
    """
    import recbole_store.processes.ranks as ranks
    from recbole_store.recommender.history_files import read_histories
    from recbole_store.recommender.table_files import written

    histories = read_histories(arguments.histories)
    at_once = store.ranker.at_once(only) * ranks.world_size()
    n_users = n_unknown = 0
    table = written(arguments.out, COLUMNS) if ranks.is_first() else nullcontext()
    with table as write:
        while part := list(itertools.islice(histories, at_once)):
            names = [name for name, _ in part]
            known = [store.catalogue.known(items) for _, items in part]
            n_users += len(part)
            n_unknown += sum(len(items) for _, items in part) - sum(map(len, known))
            seen = not arguments.include_seen
            lists = store.ranker.rank(known, names, arguments.k, seen, only)
            if write is not None:
                _write_lists(write, store, names, lists)
    if n_users == 0:
        raise RequestError(f"{arguments.histories} holds no history.")
    said = f"; {n_unknown:,} items of histories are unknown" if n_unknown else ""
    print(f"{arguments.out}: lists of {n_users:,} histories{said}.")
    return 0


def _write_lists(write, store, names: list[str], lists) -> None:
    for name, items, scores in zip(names, lists.items, lists.scores, strict=True):
        rows = store.frame(items, scores).itertuples(index=False)
        for rank, (raw, title, score, codes) in enumerate(rows, start=1):
            write((name, rank, raw, title, score, codes))


def _ids(path: Path) -> list[str]:
    from recbole_store.errors import DataError
    from recbole_store.recommender.table_files import read_rows

    if path.suffix == ".txt":
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"Cannot read {path}: {error}.") from error
        return [line.strip() for line in lines if line.strip()]
    return [str(row["item_id"]) for _, row in read_rows(path, ["item_id"], show_progress=False)]
