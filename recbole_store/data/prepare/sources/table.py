"""Any table: CSV, TSV, JSON lines or Parquet; columns are named, or told by their names."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from recbole_store.data.prepare.atomic_files import Unreadable
from recbole_store.data.prepare.column_guesses import guess_column, guess_texts, guess_unit
from recbole_store.data.prepare.interactions import Interaction
from recbole_store.data.prepare.raw_files import RawFile, Role, raw_files_in
from recbole_store.data.prepare.sources.source import Source
from recbole_store.data.prepare.sources.table_properties import yaml_text
from recbole_store.data.prepare.sources.table_values import inter_value, known, table_id, with_point
from recbole_store.data.prepare.table_file import TableFile, TableFormat
from recbole_store.data.prepare.times import EPOCH_UNITS, as_date, from_any, from_format
from recbole_store.errors import BadValue, DataError

KINDS = ("token", "token_seq", "float")
UNIT_FROM = 1_000  # rows whose times tell the unit


class Table(Source):
    """A table of interactions, and perhaps one of items.

    Attributes:
        user, item, time: columns of the interactions; no time: the rows' order.
        items_id: column of the item in the table of the items.
        texts: text columns of the items.
        unit: of times that are numbers.
        with_number: columns of the interactions in which a value was read.
        delimiters: file -> what parts its columns, where its name says otherwise.
    """

    summary = "any CSV, TSV, JSON lines or Parquet file"
    roles = {"interactions": Role(("*",)), "items": Role(("*",), required=False)}
    k_core = 1

    def __init__(self, name, arguments):
        super().__init__(name, arguments)
        if arguments.delimiter and set(arguments.delimiter) & set('"\r\n'):
            raise DataError(f"--delimiter {arguments.delimiter!r} has another meaning in a table.")
        self.user, self.item, self.time = arguments.user, arguments.item, arguments.time
        self.items_id, self.texts = arguments.items_id, arguments.text
        self.unit = arguments.time_unit or "s"
        self.delimiters: dict[str, str] = {}
        self.with_number: set[str] = set()
        self.more_columns = _typed(arguments.inter_features)
        if arguments.file_order:
            self.remark = "The raw data have no times: the time is the row's place in the file."

    @classmethod
    def add_arguments(cls, parser):
        parser.add_argument("--user", metavar="COLUMN", help="column of the user id (by its name)")
        parser.add_argument("--item", metavar="COLUMN", help="column of the item id (by its name)")
        when = parser.add_mutually_exclusive_group()
        when.add_argument(
            "--time", metavar="COLUMN", help="column of the time: number or ISO date (by its name)"
        )
        when.add_argument("--file_order", action="store_true", help="no times: rows are in order")
        parser.add_argument(
            "--time_unit",
            choices=EPOCH_UNITS,
            help="of times that are numbers (by their size)",
        )
        parser.add_argument(
            "--time_format", metavar="PATTERN", help="strptime pattern of the times"
        )
        parser.add_argument(
            "--text",
            nargs="*",
            metavar="COLUMN",
            help="text columns of the items, in the order of the text template (by their names); "
            "--text alone: none",
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
            "--items_id", metavar="COLUMN", help="column of the item id there (by its name)"
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

    def settle(self, reader, files, say):
        for file in files.values():
            if mark := self._table(file).other_delimiter(reader):
                self.delimiters[str(file)] = mark
                say(f"{file}: columns are parted by {mark!r}; --delimiter names another")
        tables = {role: self._table(file) for role, file in files.items()}
        there = {role: table.columns(reader) for role, table in tables.items()}
        of_items = "items" if "items" in files else "interactions"
        self._choose_columns(there["interactions"], there[of_items], of_items == "items", files)
        self.item_columns = {**dict.fromkeys(self.texts, "token_seq"), **self._features()}
        tables["interactions"].check(reader, self._columns())
        tables[of_items].check(reader, self._item_columns())
        given = self.arguments
        if None in (given.user, given.item, given.text) or not (given.time or given.file_order):
            say(f"columns: {self._in_words()}; --user, --item, --time and --text name others")
        if self.time and not given.time_unit and not given.time_format:
            self._choose_unit(reader, tables["interactions"], say)

    def _choose_columns(self, there, of_items, is_own, files) -> None:
        """Columns that were not named, told by their names.

        Args:
            there: columns of the interactions.
            of_items: of the table that describes the items; ``is_own``: another table.
        """
        self.item = self.item or guess_column("item", there, [self.user, self.time])
        self.user = self.user or guess_column("user", there, [self.item, self.time])
        if not self.time and not self.arguments.file_order:
            self.time = guess_column("time", there, [self.user, self.item])
        for role, found in (("user", self.user), ("item", self.item), ("time", self.time)):
            if not found and not (role == "time" and self.arguments.file_order):
                or_order = ", or take the file's order with --file_order" * (role == "time")
                raise DataError(
                    f"Which column of {files['interactions']} is the {role}? Name it with "
                    f"--{role}{or_order}; there are {', '.join(there) or 'none'}."
                )
        if not is_own:
            self.items_id = self.item
        elif self.items_id is None:
            guessed = guess_column("item", of_items) or guess_column("item_id", of_items)
            self.items_id = self.item if self.item in of_items else guessed
            if self.items_id is None:
                raise DataError(
                    f"Which column of {files['items']} is the item? Name it with --items_id; there "
                    f"are {', '.join(of_items) or 'none'}."
                )
        if self.texts is None:
            taken = [self.user, self.item, self.time, self.items_id]
            self.texts = guess_texts(of_items, taken, is_own)

    def _features(self) -> dict[str, str]:
        return _typed(self.arguments.features)

    def _in_words(self) -> str:
        words = [f"user `{self.user}`", f"item `{self.item}`"]
        words.append(f"time `{self.time}`" if self.time else "time the file's order")
        words.append("text " + (", ".join(f"`{text}`" for text in self.texts) or "none"))
        return ", ".join(words)

    def _choose_unit(self, reader, table, say) -> None:
        rows = islice(table.rows(reader, self._columns()), UNIT_FROM)
        values = [row[self.time] for row in rows]
        unit = guess_unit(values)
        if unit is None:
            return
        self.unit = unit
        shown = next((v for v in values if guess_unit([v])), values[0])
        try:
            date = as_date(from_any(shown, unit) or (0, 0))
        except BadValue:
            return  # the reading of all rows says what is wrong
        names = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
        say(
            f"times are numbers, read as {names[unit]} since 1970 ({shown} is {date}); "
            "--time_unit names another unit"
        )

    def _table(self, file: RawFile) -> TableFile:
        given = self.arguments
        delimiter = given.delimiter or self.delimiters.get(str(file))
        return TableFile(file, TableFormat(delimiter, given.encoding, not given.no_quotes))

    def _columns(self) -> list[str]:
        return [self.user, self.item, *filter(None, [self.time]), *self.more_columns]

    def _item_columns(self) -> list[str]:
        return [self.items_id, *self.item_columns]

    def interactions(self, reader, files):
        yield from reader.read(
            self._table(files["interactions"]).rows(reader, self._columns()),
            lambda row: Interaction(
                table_id(row[self.user]),
                table_id(row[self.item]),
                self._time(row[self.time]) if self.time else (reader.number, 0),
                tuple(self._more(row, name, files["interactions"]) for name in self.more_columns),
            ),
        )

        for name in self.unreadable.keys() - self.with_number:
            raise DataError(
                f"No value of `{name}` in {files['interactions']} is a number, such as "
                f"{self.unreadable[name].first[:40]!r}: it is no float."
            )

    def _time(self, value):
        if self.arguments.time_format:
            return from_format(value, self.arguments.time_format)
        return from_any(value, self.unit, " (--time_format names another pattern)")

    def _pointed(self, file: RawFile, value, kind: str):
        """A number with a point, where columns are parted by semicolons and it has a comma."""
        has_commas = (self.arguments.delimiter or self.delimiters.get(str(file))) == ";"
        return with_point(value) if has_commas and kind == "float" else value

    def _more(self, row: dict, name: str, file: RawFile) -> str:
        """A further column's value; one that is no number is left empty, and counted."""
        try:
            kind = self.more_columns[name]
            value = inter_value(self._pointed(file, row[name], kind), kind)
        except BadValue:
            before = self.unreadable.get(name, Unreadable(0, str(row[name])))
            self.unreadable[name] = before._replace(count=before.count + 1)
            return ""
        if value and name not in self.with_number:
            self.with_number.add(name)
        return value

    def items(self, reader, files):
        if not self.item_columns:
            return
        file = files.get("items", files["interactions"])
        table = self._table(file)
        yield from reader.read(
            table.rows(reader, self._item_columns()),
            lambda row: (
                table_id(row[self.items_id]),
                {
                    column: self._pointed(file, known(row[column]), kind)
                    for column, kind in self.item_columns.items()
                },
            ),
        )

    def property_text(self):
        return yaml_text(self.texts, self.more_columns)

    def keeps_all_items(self):
        return bool(self.texts)

    def text_columns(self):
        return self.texts


def _typed(words: list[str]) -> dict[str, str]:
    """["price:float"] -> {"price": "float"}."""
    typed = {}
    for word in words:
        name, _, kind = word.rpartition(":")
        if not name or kind not in KINDS:
            raise DataError(f"{word!r} is not COLUMN:TYPE with TYPE one of {', '.join(KINDS)}.")
        typed[name] = kind
    return typed


def _single(paths: list[Path]) -> RawFile:
    files = [raw for path in paths for raw in raw_files_in(path)]
    if len(files) != 1:
        names = ", ".join(raw.name for raw in files[:5])
        raise DataError(
            f"A table is one file, but {', '.join(map(str, paths))} holds {len(files)}: {names}."
        )
    return files[0]
