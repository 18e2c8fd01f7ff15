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
from recbole_store.data.prepare.raw_files import LONGEST, RawFile, RawReader
from recbole_store.errors import BadValue, DataError

ROWS_AT_ONCE = 10_000


def json_rows(reader: RawReader, file: RawFile, encoding: str = "utf-8") -> Iterator[dict]:
    """One JSON object a line.

    Raises:
        BadValue: a line that is not one.
    """
    for line in reader.lines(file, encoding):
        if not line.isspace():
            try:
                row = json.loads(line)
            except (json.JSONDecodeError, RecursionError) as error:
                raise BadValue(f"not a JSON object ({_short(error)})") from error
            yield _object(row)


def literal_rows(reader: RawReader, file: RawFile, encoding: str = "utf-8") -> Iterator[dict]:
    """One Python dict literal or JSON object a line; nothing is evaluated.

    Raises:
        BadValue: a line that is neither.
    """
    for line in reader.lines(file, encoding):
        if line.isspace():
            continue
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, RecursionError):
            row = _literal(line.strip())
        yield _object(row)


def _literal(text: str):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # "\d" in somebody's description
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
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

    Args:
        columns: names of the columns; None takes them from the first line.
        quotes: fields in double quotes may hold separators and line ends, as in RFC 4180; without,
            a quote is a character like any other.

    Raises:
        BadValue: a row with too few or too many fields, or with a quote that is never closed.
        DataError: no line at all.
    """
    lines = reader.lines(file, encoding)
    if quotes and len(delimiter) == 1:
        rows = _quoted(lines, delimiter)
    else:
        rows = (line.rstrip("\r\n").split(delimiter) for line in lines)
    for row in rows:
        if not row or row == [""]:
            continue
        if columns is None:
            columns = [name.strip() for name in row]
            if len(set(columns)) < len(columns):
                raise BadValue("the header names a column twice")
            continue
        if len(row) != len(columns):
            raise BadValue(f"{len(row)} fields where {len(columns)} were expected")
        yield dict(zip(columns, row, strict=True))
    if columns is None:
        raise DataError(f"{file} is empty.")


def _quoted(lines: Iterator[str], delimiter: str) -> Iterator[list[str]]:
    csv.field_size_limit(LONGEST)  # descriptions may be longer than csv's 128 KB
    try:
        yield from csv.reader(lines, delimiter=delimiter, strict=True)
    except csv.Error as error:
        raise BadValue(f"not a CSV row ({error}); `--no_quotes` takes quotes as text") from error


def parquet_rows(reader: RawReader, file: RawFile, columns: list[str]) -> Iterator[dict]:
    """Chosen columns of a Parquet file; dates and times come as ISO text.

    Raises:
        DataError: no Parquet file, or no such column.
    """
    if file.member:
        raise DataError(f"{file}: Parquet is not read from inside a zip archive; unpack it.")
    reader.file, reader.unit, reader.number = file, "row", 0
    try:
        with database() as connection:
            path = [str(file.path)]
            described = connection.execute(
                "DESCRIBE SELECT * FROM read_parquet(?)", path
            ).fetchall()
            types = {name: kind for name, kind, *_ in described}
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
