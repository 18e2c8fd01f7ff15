"""A table of any kind, told by its name's ending: its columns, and its rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from recbole_store.data.prepare.raw_files import RawFile
from recbole_store.data.prepare.raw_reader import RawReader
from recbole_store.data.prepare.raw_rows import (
    check_columns,
    delimited_header,
    delimited_rows,
    json_rows,
    parquet_columns,
    parquet_rows,
)
from recbole_store.errors import DataError

DELIMITERS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
JSON_LINES = (".jsonl", ".ndjson", ".json")
KEYS_FROM = 100  # objects of JSON lines, whose keys are the columns


@dataclass(frozen=True)
class TableFormat:
    """How tables that are no plain UTF-8 CSV are written."""

    delimiter: str | None = None  # None: by the file's name
    encoding: str = "utf-8"
    quotes: bool = True


class TableFile:
    """A CSV, TSV, JSON lines or Parquet file.

    Raises:
        DataError: the name's ending says none of these, and no delimiter is given.
    """

    def __init__(self, file: RawFile, written: TableFormat):
        self.file, self.written = file, written
        suffix = Path(file.name.lower().removesuffix(".gz")).suffix
        self.is_parquet, self.is_json = suffix == ".parquet", suffix in JSON_LINES
        self.delimiter = (written.delimiter or DELIMITERS.get(suffix, "")).replace("\\t", "\t")
        if not (self.is_parquet or self.is_json or self.delimiter):
            known = ", ".join([*DELIMITERS, *JSON_LINES, ".parquet"])
            raise DataError(
                f"{file}: the kind of table is told by the name's ending ({known}, also with .gz), "
                "or by --delimiter; save a spreadsheet as CSV."
            )

    def columns(self, reader: RawReader) -> list[str]:
        """Its columns; of JSON lines the keys of the first objects."""
        if self.is_parquet:
            return parquet_columns(self.file)
        if self.is_json:
            rows = islice(json_rows(reader, self.file, self.written.encoding), KEYS_FROM)
            return list(dict.fromkeys(key for row in rows for key in row))
        columns = delimited_header(reader, self.file, *self._delimited())
        return [name for name in columns if name]

    def other_delimiter(self, reader: RawReader) -> str | None:
        """What parts the columns, if it is not what the file's name says.

        Spreadsheets of many countries write semicolons into ``.csv``. None if a delimiter is given,
        or the header has several columns, or but one by any of these marks.
        """
        if self.is_parquet or self.is_json or self.written.delimiter:
            return None
        columns = self.columns(reader)
        if len(columns) != 1:
            return None
        return next((mark for mark in (";", "\t", ",", "|") if mark in columns[0]), None)

    def check(self, reader: RawReader, wanted: list[str]) -> None:
        """Raises DataError, naming the columns there are, if one that is wanted is not."""
        there = self.columns(reader)
        if not self.is_json:  # where a key may come later
            check_columns(self.file, wanted, there)

    def rows(self, reader: RawReader, columns: list[str]) -> Iterator[dict]:
        """Rows that have at least these columns; faulty ones are rejected.

        Raises:
            DataError: a column that no row has.
        """
        columns = list(dict.fromkeys(columns))
        if self.is_parquet:
            yield from parquet_rows(reader, self.file, columns)
        elif self.is_json:
            missing = set(columns)
            for row in json_rows(reader, self.file, self.written.encoding):
                missing -= row.keys()
                yield {column: row.get(column) for column in columns}
            if missing and reader.number:
                first = next(column for column in columns if column in missing)
                raise DataError(f"No line of {self.file} has the key `{first}`.")
        else:
            delimiter, encoding, quotes = self._delimited()
            there = delimited_header(reader, self.file, delimiter, encoding, quotes)
            check_columns(self.file, columns, there)
            yield from delimited_rows(
                reader, self.file, delimiter, encoding=encoding, quotes=quotes
            )

    def _delimited(self) -> tuple[str, str, bool]:
        return self.delimiter, self.written.encoding, self.written.quotes
