"""``recbole-store add-items``: a model learns of new items by their texts."""

from __future__ import annotations

from pathlib import Path

from recbole_store.recommender.commands.asking import answer, load, model_parser
from recbole_store.settings.arguments import Parser

EPILOG = """\
FILE is .csv, .tsv, .jsonl or .parquet, by its name, with item_id and the text columns of the run.
Known items keep their codes; the same file twice changes nothing. If a row is wrong, or codes are
full, nothing is added. Processes of torchrun share the reading of the texts.
"""


def parser() -> Parser:
    """``add-items MODEL FILE``."""
    p = model_parser("add-items", "Let a model have new items; nothing is trained.", EPILOG)
    p.add_argument("file", type=Path, metavar="FILE", help="table of the items")
    p.add_argument("--out", type=Path, metavar="MODEL2", help="folder to be written (MODEL itself)")
    return p


def main(argv: list[str]) -> int:
    """Returns the exit status: 0 done, 2 bad input, 130 interrupted."""
    arguments = parser().parse_args(argv)
    return answer(lambda: _add(arguments))


def _add(arguments) -> int:
    import recbole_store.processes.ranks as ranks
    from recbole_store.recommender.table_files import read_rows

    store = load(arguments)
    catalogue = store.catalogue
    required = ["item_id", *catalogue.templates]
    rows = read_rows(arguments.file, required, catalogue.columns)
    new = store.add_rows(rows)
    out = arguments.out or arguments.model
    ranks.gather(None)  # nobody reads the folder any more
    if ranks.is_first() and (new.raw_ids or out != arguments.model):
        store.save(out)
    said = f"{len(new.raw_ids):,} new items"
    if new.n_known:
        said += f", {new.n_known:,} that it had already"
    if new.n_other_text:
        said += f" ({new.n_other_text:,} of them with another text: theirs stays)"
    print(f"{out}: {said}; {len(store):,} in all.")
    return 0
