"""Tables that people give and get: CSV and its kin, JSON lines, Parquet; streamed both ways."""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from recbole_store.data.formula_cells import harmless
from recbole_store.data.prepare.database import database
from recbole_store.data.prepare.raw_files import RawFile
from recbole_store.data.prepare.raw_reader import RawReader
from recbole_store.data.prepare.raw_rows import delimited_rows, json_rows, parquet_rows
from recbole_store.errors import BadValue, DataError

DELIMITERS = {".csv": ",", ".tsv": "\t"}
JSON_LINES = (".jsonl", ".ndjson")
KINDS = (*DELIMITERS, *JSON_LINES, ".parquet")


def kind_of(path: Path) -> str:
    """The ending that tells the kind of table; raises DataError for any other."""
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    if suffix not in KINDS:
        raise DataError(f"{path}: the kind of table is told by the name's ending: {_all(KINDS)}.")
    return suffix


def read_rows(
    path: Path, required: list[str], optional: Iterable[str] = (), show_progress: bool | None = None
) -> Iterator[tuple[str, dict]]:
    """Rows of a table, each with its place, such as ``items.csv, line 3``.

    Args:
        required: columns that the table must have; JSON lines may lack some in some rows.
        optional: columns that are read where they are there.

    Raises:
        DataError: no such file or column, or a row that cannot be read, by its line.
    """
    kind, file = kind_of(path), RawFile(path)
    if not path.is_file():
        raise DataError(f"There is no file {path}.")
    reader = RawReader(show_progress)
    columns = list(dict.fromkeys([*required, *optional]))
    if kind == ".parquet":
        there = parquet_columns(path)
        rows = parquet_rows(reader, file, [c for c in columns if c in there or c in required])
    elif kind in JSON_LINES:
        rows = json_rows(reader, file)
    else:
        rows = delimited_rows(reader, file, DELIMITERS[kind])
    try:
        for number, row in enumerate(rows):
            if number == 0 and kind not in JSON_LINES:
                _check(path, required, row)
            yield reader.place, {column: row.get(column) for column in columns}
    except BadValue as error:
        raise DataError(f"{reader.place}: {error}.") from error


def parquet_columns(path: Path) -> list[str]:
    """Raises DataError if it is no Parquet file."""
    try:
        with database() as connection:
            found = connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)])
            return [name for name, *_ in found.fetchall()]
    except duckdb.Error as error:
        said = " ".join(str(error).split())[:120]
        raise DataError(f"Cannot read {path} as Parquet: {said}.") from error


def columns_there(path: Path) -> list[str]:
    """Columns of a table by its first row; none of an empty one."""
    kind, reader = kind_of(path), RawReader(False)
    if not path.is_file():
        raise DataError(f"There is no file {path}.")
    if kind == ".parquet":
        return parquet_columns(path)
    of_json = kind in JSON_LINES
    rows = (
        json_rows(reader, RawFile(path))
        if of_json
        else delimited_rows(reader, RawFile(path), DELIMITERS[kind])
    )
    try:
        return list(next(iter(rows), {}))
    except BadValue as error:
        raise DataError(f"{reader.place}: {error}.") from error


def _check(path: Path, required: list[str], row: dict) -> None:
    for column in required:
        if column not in row:
            raise DataError(f"{path} has no column `{column}`; its columns are {_all(row)}.")


@contextmanager
def written(path: Path, columns: list[str]) -> Iterator:
    """A table to be filled row by row: ``with written(path, columns) as write: write(values)``.

    It is there only once it is whole. A value may be text, a number, or codes, which CSV holds with
    spaces between them.

    Raises:
        DataError: it cannot be written.
    """
    kind = kind_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
            part = Path(folder) / "part"
            with part.open("w", encoding="utf-8", newline="") as stream:
                if kind in DELIMITERS:
                    yield _delimited(stream, columns, DELIMITERS[kind])
                else:
                    yield _json_lines(stream, columns)
            if kind == ".parquet":
                part = _as_parquet(part, columns)
            part.replace(path)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}.") from error


def _delimited(stream, columns: list[str], delimiter: str):
    writer = csv.writer(stream, delimiter=delimiter, lineterminator="\n")
    writer.writerow(columns)

    def write(values) -> None:
        writer.writerow([_cell(value) for value in values])

    return write


def _cell(value):
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (tuple, list)):
        return " ".join(map(str, value))
    return harmless(value) if isinstance(value, str) else value


def _json_lines(stream, columns: list[str]):
    def write(values) -> None:
        row = dict(zip(columns, values, strict=True))
        stream.write(json.dumps(row, ensure_ascii=False) + "\n")

    return write


def _as_parquet(lines: Path, columns: list[str]) -> Path:
    """JSON lines as Parquet, within the memory of a batch."""
    kinds = {"rank": "BIGINT", "score": "DOUBLE", "semantic_id": "INTEGER[]"}
    typed = ", ".join(f"{column}: '{kinds.get(column, 'VARCHAR')}'" for column in columns)
    whole = lines.with_suffix(".parquet")
    source, target = (str(path).replace("'", "''") for path in (lines, whole))
    with database(lines.parent) as connection:
        connection.execute(
            f"COPY (SELECT * FROM read_json('{source}', format='newline_delimited', "
            f"columns={{{typed}}})) TO '{target}' (FORMAT parquet, COMPRESSION zstd)"
        )
    return whole


def _all(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
