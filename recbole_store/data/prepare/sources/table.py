"""Any table: CSV, TSV, JSON lines or Parquet, with columns named on the command line."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from recbole_store.data.prepare.atomic_text import clean_value, safe_id
from recbole_store.data.prepare.interactions import Interaction
from recbole_store.data.prepare.raw_files import RawFile, Role, raw_files_in
from recbole_store.data.prepare.raw_reader import RawReader
from recbole_store.data.prepare.raw_rows import (
    check_columns,
    delimited_rows,
    json_rows,
    number_text,
    parquet_rows,
)
from recbole_store.data.prepare.sources.source import Source
from recbole_store.data.prepare.times import EPOCH_UNITS, from_any, from_format
from recbole_store.errors import DataError

DELIMITERS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
JSON_LINES = (".jsonl", ".ndjson", ".json")
KINDS = ("token", "token_seq", "float")


class Table(Source):
    summary = "any CSV, TSV, JSON lines or Parquet file with columns you name"
    roles = {"interactions": Role(("*",)), "items": Role(("*",), required=False)}
    k_core = 1

    def __init__(self, name, arguments):
        super().__init__(name, arguments)
        if arguments.delimiter and set(arguments.delimiter) & set('"\r\n'):
            raise DataError(f"--delimiter {arguments.delimiter!r} has another meaning in a table.")
        self.features = _typed(arguments.features)
        self.more_columns = _typed(arguments.inter_features)
        texts = dict.fromkeys(arguments.text, "token_seq")
        self.item_columns = {**texts, **self.features}
        if arguments.time is None:
            self.remark = "The raw data have no times: the time is the row's place in the file."

    @classmethod
    def add_arguments(cls, parser):
        parser.add_argument("--user", required=True, metavar="COLUMN", help="column of the user id")
        parser.add_argument("--item", required=True, metavar="COLUMN", help="column of the item id")
        when = parser.add_mutually_exclusive_group(required=True)
        when.add_argument("--time", metavar="COLUMN", help="column of the time: number or ISO date")
        when.add_argument("--file_order", action="store_true", help="no times: rows are in order")
        parser.add_argument(
            "--time_unit", choices=EPOCH_UNITS, default="s", help="unit of times that are numbers"
        )
        parser.add_argument(
            "--time_format", metavar="PATTERN", help="strptime pattern of the times"
        )
        parser.add_argument(
            "--text",
            nargs="+",
            default=[],
            metavar="COLUMN",
            help="text columns of the items, in the order of the text template",
        )
        parser.add_argument(
            "--features",
            nargs="+",
            default=[],
            metavar="COLUMN:TYPE",
            help="columns of NAME.item and their types (token, token_seq, float); text columns "
            "are token_seq there unless listed",
        )
        parser.add_argument(
            "--inter_features",
            nargs="+",
            default=[],
            metavar="COLUMN:TYPE",
            help="further columns of NAME.inter, such as rating:float",
        )
        parser.add_argument(
            "--items",
            type=Path,
            metavar="FILE",
            help="table of the items; without, their columns are taken from the interactions",
        )
        parser.add_argument(
            "--items_id", metavar="COLUMN", help="column of the item id there (as --item)"
        )
        parser.add_argument("--delimiter", help="of CSV and its kin (by the file's name)")
        parser.add_argument("--encoding", default="utf-8", help="of the files (utf-8)")
        parser.add_argument(
            "--no_quotes", action="store_true", help="quotes are text, not around fields"
        )

    def find(self, paths):
        files = {"interactions": _single(paths)}
        if self.arguments.items:
            files["items"] = _single([self.arguments.items])
        elif self.arguments.items_id:
            raise DataError("--items_id names a column of --items, which is not given.")
        return files

    def interactions(self, reader, files):
        wanted = self.arguments
        columns = [wanted.user, wanted.item, *filter(None, [wanted.time]), *self.more_columns]
        return reader.read(
            self._rows(reader, files["interactions"], columns),
            lambda row: Interaction(
                table_id(row[wanted.user]),
                table_id(row[wanted.item]),
                self._time(row[wanted.time]) if wanted.time else (reader.number, 0),
                tuple(_inter_value(row[name], kind) for name, kind in self.more_columns.items()),
            ),
        )

    def _time(self, value):
        if self.arguments.time_format:
            return from_format(value, self.arguments.time_format)
        return from_any(value, self.arguments.time_unit)

    def items(self, reader, files):
        if not self.item_columns:
            return
        own = "items" in files
        id_column = self.arguments.items_id if own and self.arguments.items_id else None
        id_column = id_column or self.arguments.item
        columns = [id_column, *self.item_columns]
        yield from reader.read(
            self._rows(reader, files["items" if own else "interactions"], columns),
            lambda row: (table_id(row[id_column]), {c: known(row[c]) for c in self.item_columns}),
        )

    def _rows(self, reader: RawReader, file: RawFile, columns: list[str]):
        """Rows that have at least these columns."""
        columns = list(dict.fromkeys(columns))
        options = self.arguments
        suffix = Path(file.name.lower().removesuffix(".gz")).suffix
        if suffix == ".parquet":
            yield from parquet_rows(reader, file, columns)
        elif suffix in JSON_LINES:
            seen: set[str] = set()
            for row in json_rows(reader, file, options.encoding):
                if len(seen) < len(columns):
                    seen.update(row.keys() & set(columns))
                yield {column: row.get(column) for column in columns}
            for column in columns:
                if column not in seen and reader.number:
                    raise DataError(f"No line of {file} has the key `{column}`.")
        elif options.delimiter or suffix in DELIMITERS:
            delimiter = options.delimiter or DELIMITERS[suffix]
            rows = delimited_rows(
                reader,
                file,
                delimiter.replace("\\t", "\t"),
                encoding=options.encoding,
                quotes=not options.no_quotes,
            )
            for n, row in enumerate(rows):
                if n == 0:
                    check_columns(file, columns, list(row))
                yield row
        else:
            known = ", ".join([*DELIMITERS, *JSON_LINES, ".parquet"])
            raise DataError(
                f"{file}: the kind of table is told by the name's ending ({known}, also with .gz), "
                "or by --delimiter; save a spreadsheet as CSV."
            )

    def property_text(self):
        return yaml_text(self.arguments.text, self.more_columns)

    def text_columns(self):
        return self.arguments.text


def yaml_text(text_columns: list[str], more: dict[str, str]) -> str:
    """Properties of a table's data set: the columns loaded, and each text column's piece."""
    load = ["user_id", "item_id", *more, "timestamp"]
    lines = [
        "load_col:                       # (dict) Atomic file suffix: columns RecBole loads.",
        f"  inter: {_flow(load)}",
    ]
    if text_columns:
        lines.append(
            "item_text:                      # (dict) Text column: its piece; {} is the value."
        )
        first, *others = text_columns
        for column, piece in [(first, "{}"), *((other, other + ": {}") for other in others)]:
            lines.append(f"  {_flow(column)}: {_flow(piece)}")
    return "\n".join(lines) + "\n"


def _flow(value) -> str:
    """A value as YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...")


def _typed(words: list[str]) -> dict[str, str]:
    """["price:float"] -> {"price": "float"}."""
    typed = {}
    for word in words:
        name, _, kind = word.rpartition(":")
        if not name or kind not in KINDS:
            raise DataError(f"{word!r} is not COLUMN:TYPE with TYPE one of {', '.join(KINDS)}.")
        typed[name] = kind
    return typed


_WHOLE = re.compile(r"(-?\d+)\.0+")


def known(value):
    """A value of a table; None for one that pandas wrote because there was none.

    Example: known("nan") -> None; known("NA") -> "NA"
    """
    return None if value in ("nan", "NaN", "NaT") else value


def table_id(value) -> str:
    """An id of a table, as ``safe_id``; in CSV, too, numbers that are whole are integers.

    A column of integers that lacks one is a column of floats to pandas, and is written as such.

    Example: table_id("7.0") -> "7"; table_id("nan") -> ""; table_id("1.10") -> "1.10"
    """
    whole = _WHOLE.fullmatch(value.strip()) if isinstance(value, str) else None
    return safe_id(whole[1] if whole else known(value))


def _inter_value(value, kind: str) -> str:
    value = known(value)
    if kind == "float":
        return number_text(value)
    if kind == "token_seq":
        words = value if isinstance(value, list) else clean_value(value).split()
        return " ".join(safe_id(word) for word in words)
    return safe_id(value)


def _single(paths: list[Path]) -> RawFile:
    files = [raw for path in paths for raw in raw_files_in(path)]
    if len(files) != 1:
        names = ", ".join(raw.name for raw in files[:5])
        raise DataError(
            f"A table is one file, but {', '.join(map(str, paths))} holds {len(files)}: {names}."
        )
    return files[0]
