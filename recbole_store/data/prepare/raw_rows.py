"""Lines of raw files -> rows: JSON, Python literals, CSV and its kin, Parquet."""

from __future__ import annotations

import ast
import csv
import json
import math
import warnings
from collections.abc import Iterator

import duckdb

from recbole_store.data.prepare.atomic_text import is_missing
from recbole_store.data.prepare.database import database
from recbole_store.data.prepare.raw_files import RawFile
from recbole_store.data.prepare.raw_reader import LONGEST, RawReader
from recbole_store.errors import BadValue, DataError

ROWS_AT_ONCE = 10_000


def json_rows(reader: RawReader, file: RawFile, encoding: str = "utf-8") -> Iterator[dict]:
    """One JSON object a line; lines that are none are rejected."""
    return _line_rows(reader, file, encoding, _json)


def literal_rows(reader: RawReader, file: RawFile, encoding: str = "utf-8") -> Iterator[dict]:
    """One Python dict literal or JSON object a line; nothing is evaluated.

    Lines that are neither are rejected.
    """
    return _line_rows(reader, file, encoding, _json_or_literal)


def _line_rows(reader: RawReader, file: RawFile, encoding: str, parse) -> Iterator[dict]:
    lines = (line for line in reader.lines(file, encoding) if not line.isspace())
    return reader.read(lines, lambda line: _object(parse(line)))


# What Python's parsers raise over lines that somebody has crafted: too deep, too many digits.
_UNREADABLE = (ValueError, SyntaxError, RecursionError, MemoryError)


def _json(line: str):
    try:
        return json.loads(line)
    except _UNREADABLE as error:
        raise BadValue(f"not a JSON object ({_short(error)})") from error


def _json_or_literal(line: str):
    try:
        return json.loads(line)
    except _UNREADABLE:
        pass
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # "\d" in somebody's description
            return ast.literal_eval(line.strip())
    except (*_UNREADABLE, TypeError) as error:  # TypeError: a list as a key
        raise BadValue("neither JSON nor a Python literal") from error


def delimited_rows(
    reader: RawReader,
    file: RawFile,
    delimiter: str,
    columns: list[str] | None = None,
    encoding: str = "utf-8",
    quotes: bool = True,
) -> Iterator[dict[str, str]]:
    """CSV, TSV and files with longer separators such as ``::``.

    Rows with too few or too many fields, or with a quote that is never closed, are rejected.
    Columns without a name, as spreadsheets leave them, are passed over.

    Args:
        columns: names of the columns; None takes them from the first line.
        quotes: fields in double quotes may hold separators and line ends, as in RFC 4180; without,
            a quote is a character like any other.

    Raises:
        DataError: no line at all, or a header that names a column twice.
    """
    rows = _fields(reader, file, delimiter, encoding, quotes)
    if columns is None:
        columns = _header(reader, file, rows)
    n_columns = len(columns)
    named = [(place, name) for place, name in enumerate(columns) if name]

    def as_dict(row: list[str]) -> dict[str, str]:
        if len(row) != n_columns:
            raise BadValue(f"{len(row)} fields where {n_columns} were expected")
        return {name: row[place] for place, name in named}

    yield from reader.read(rows, as_dict)


def delimited_header(
    reader: RawReader,
    file: RawFile,
    delimiter: str,
    encoding: str = "utf-8",
    quotes: bool = True,
) -> list[str]:
    """The columns that the first line names, "" where it has no name for one.

    Raises:
        DataError: as :func:`delimited_rows`.
    """
    return _header(reader, file, _fields(reader, file, delimiter, encoding, quotes))


def _fields(
    reader: RawReader, file: RawFile, delimiter: str, encoding: str, quotes: bool
) -> Iterator[list[str]]:
    """The fields of each line that is not empty."""
    lines = reader.lines(file, encoding)
    if quotes and len(delimiter) == 1:
        rows = _quoted(reader, lines, delimiter)
    else:
        rows = (line.rstrip("\r\n").split(delimiter) for line in lines)
    return (row for row in rows if row and row != [""])


def _header(reader: RawReader, file: RawFile, rows: Iterator[list[str]]) -> list[str]:
    n_before = reader.n_rejected
    header = next(rows, None)
    if reader.n_rejected > n_before:
        raise DataError(f"The header of {file} cannot be read.")
    if header is None:
        raise DataError(f"{file} is empty.")
    columns = [name.strip() for name in header]
    twice = [name for name in columns if name and columns.count(name) > 1]
    if twice:
        raise DataError(f"{reader.place}: the header names the column `{twice[0]}` twice.")
    return columns


def _quoted(reader: RawReader, lines: Iterator[str], delimiter: str) -> Iterator[list[str]]:
    csv.field_size_limit(LONGEST)  # descriptions may be longer than csv's 128 KB
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            reason = f"not a CSV row ({error}); `--no_quotes` takes quotes as text"
            reader.reject(BadValue(reason), "")
        else:
            yield row


def parquet_rows(reader: RawReader, file: RawFile, columns: list[str]) -> Iterator[dict]:
    """Chosen columns of a Parquet file; dates and times come as ISO text.

    Raises:
        DataError: no Parquet file, or no such column.
    """
    reader.file, reader.unit, reader.number = file, "row", 0
    try:
        with database() as connection:
            path, types = [str(file.path)], _parquet_types(connection, file)
            check_columns(file, columns, list(types))
            chosen = ", ".join(_as_read(name, types[name]) for name in columns)
            (n_rows,) = connection.execute("SELECT count(*) FROM read_parquet(?)", path).fetchone()
            rows = connection.execute(f"SELECT {chosen} FROM read_parquet(?)", path)
            with reader.progress(file) as bar:
                while batch := rows.fetchmany(ROWS_AT_ONCE):
                    for row in batch:
                        reader.number += 1
                        yield dict(zip(columns, row, strict=True))
                    bar.update(bar.total * len(batch) / n_rows if bar.total else 0)
    except duckdb.Error as error:
        raise DataError(f"Cannot read {file} as Parquet: {_short(error)}.") from error


def parquet_columns(file: RawFile) -> list[str]:
    """Names of the columns of a Parquet file.

    Raises:
        DataError: no Parquet file.
    """
    try:
        with database() as connection:
            return list(_parquet_types(connection, file))
    except duckdb.Error as error:
        raise DataError(f"Cannot read {file} as Parquet: {_short(error)}.") from error


def _parquet_types(connection, file: RawFile) -> dict[str, str]:
    if file.member:
        raise DataError(f"{file}: Parquet is not read from inside a zip archive; unpack it.")
    described = connection.execute(
        "DESCRIBE SELECT * FROM read_parquet(?)", [str(file.path)]
    ).fetchall()
    return {name: kind for name, kind, *_ in described}


def _as_read(column: str, kind: str) -> str:
    name = '"' + column.replace('"', '""') + '"'
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"make_timestamp(epoch_us({name}))::VARCHAR"
    is_time = kind.startswith("TIMESTAMP") or kind == "DATE" or kind.startswith("DECIMAL")
    return f"{name}::VARCHAR" if is_time else name


def check_columns(file: RawFile, wanted: list[str], there: list[str]) -> None:
    """Raises DataError, naming the columns there are, if one that is wanted is not."""
    for column in wanted:
        if column not in there:
            raise DataError(f"{file} has no column `{column}`; its columns are {', '.join(there)}.")


def value_of(row: dict, key: str):
    """The value of a key that every row of a layout has.

    Raises:
        BadValue: the row does not have it.
    """
    if key not in row:
        raise BadValue(f"no `{key}`, but {', '.join(list(row)[:8])}")
    return row[key]


def number_text(value) -> str:
    """A number as text, "" for a missing one, NaN or an infinite one.

    Raises:
        BadValue: it is no number.
    """
    text = "" if is_missing(value) else str(value).strip()
    try:
        is_number = math.isfinite(float(text or 0))
    except ValueError as error:
        raise BadValue(f"{value!r} is not a number") from error
    return text if is_number else ""


def _object(row) -> dict:
    if not isinstance(row, dict):
        raise BadValue("not a JSON object")
    return row


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
