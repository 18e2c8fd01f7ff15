"""Item columns -> one text per item.

RecBole's parser drops repeated spaces, breaks on quotes and turns titles such as "NA" into
nothing, so texts are read here: UTF-8, tab-separated, no quoting, every character kept.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

from recbole_store.errors import ItemTextError

# What data sets call an item's name.
_TITLE = re.compile(r"\w*title|name")


class ItemColumns(NamedTuple):
    """What text files say of items, column by column.

    Attributes:
        templates: text column -> its template, ``{}`` being the column's value.
        rows: raw id -> column -> value, of items that have a row.
        source: the file.
    """

    templates: dict[str, str]
    rows: dict[str, dict[str, str]]
    source: Path


def fill(templates: dict[str, str], row: dict[str, str]) -> list[str]:
    """A row's fields: its filled templates.

    Example: templates {"title": "{}", "year": "({})"}, row {"title": "Alien"} -> ["Alien"]
    """
    return [
        template.replace("{}", value)
        for column, template in templates.items()
        if (value := row.get(column, "").strip())
    ]


def title_column(columns) -> str | None:
    """The first column that is named as one of titles is; None where none is."""
    return next((column for column in columns if _TITLE.fullmatch(column)), None)


def title_of(row: dict[str, str], templates: dict[str, str]) -> str:
    """What an item is called: its title, else all of its text, "" where there is none.

    Args:
        row: text column -> value.
        templates: see :class:`ItemColumns`.

    Example: row {"brand": "OPI", "title": "Nail Lacquer"} -> "Nail Lacquer"
    """
    return row.get(title_column(row), "").strip() or join_fields(fill(templates, row))


def read_item_texts(
    folder: str | Path,
    name: str,
    raw_ids,
    id_column: str = "item_id",
    templates: dict[str, str] | None = None,
    separator: str = "\t",
    encoding: str = "utf-8",
) -> list[list[str]]:
    """Read the text of every item; see :func:`read_item_columns`.

    Args:
        raw_ids: raw id of each item_id; entry 0 is the padding.

    Returns:
        Per item_id the list of its fields; an item without text, and padding, has none.

    Raises:
        ItemTextError: as there, or none of the items has a text.
    """
    found = read_item_columns(folder, name, id_column, templates, separator, encoding)
    no_text: dict[str, str] = {}
    texts = [fill(found.templates, found.rows.get(str(raw), no_text)) for raw in list(raw_ids)[1:]]
    if not any(texts):
        raise ItemTextError(f"{found.source} has no text for any of the items that {name} has.")
    return [[], *texts]


def read_item_columns(
    folder: str | Path,
    name: str,
    id_column: str = "item_id",
    templates: dict[str, str] | None = None,
    separator: str = "\t",
    encoding: str = "utf-8",
) -> ItemColumns:
    """Read what there is of items' texts.

    ``NAME.text.jsonl`` (one ``{"item_id": raw id, column: text, ...}`` a line) is read where it
    exists, else ``NAME.item``.

    Args:
        folder, name: of the dataset.
        templates: text column -> its template, ``{}`` being the column's value; None takes
            every column but the id as ``column: value``.

    Raises:
        ItemTextError: no file, no such column, a line that does not fit the header.
    """
    folder = Path(folder)
    side_file, atomic_file = folder / f"{name}.text.jsonl", folder / f"{name}.item"
    if side_file.is_file():
        rows = _jsonl_rows(side_file, id_column, encoding)
    elif atomic_file.is_file():
        rows = _atomic_rows(atomic_file, id_column, separator, encoding)
    else:
        raise ItemTextError(
            f"STORE reads items' texts, as Neighbours and TextTower do, but {name} has none: "
            f"neither {side_file} nor {atomic_file} exists; SASRecAll needs none."
        )
    source = side_file if side_file.is_file() else atomic_file
    columns, texts = set(), {}
    try:
        for raw_id, values in rows:
            columns.update(values)
            texts[raw_id] = values
    except UnicodeDecodeError as error:
        raise ItemTextError(f"{source} is not {encoding}: set `encoding` to what it is.") from error
    if templates is None:
        templates = {column: column + ": {}" for column in sorted(columns)}
    missing = [column for column in templates if column not in columns]
    if missing or not templates:
        raise ItemTextError(
            f"`item_text` names {', '.join(missing) or 'no column'}, which {source} does not have; "
            f"its text columns are {', '.join(sorted(columns)) or 'none'}."
        )
    return ItemColumns(templates, texts, source)


def join_fields(fields: list[str]) -> str:
    """Fields as one text: ["Alien", "(1979)"] -> "Alien (1979)"."""
    return " ".join(fields)


def _jsonl_rows(path: Path, id_column: str, encoding: str):
    with path.open(encoding=encoding) as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                raw_id = _as_text(row.pop(id_column))
                columns = {_as_text(key): _as_text(value) for key, value in row.items()}
            except _UNREADABLE as error:
                raise ItemTextError(
                    f"{path}, line {number}: must be a JSON object with `{id_column}`."
                ) from error
            yield raw_id, columns


# What a line raises that is no such object, is too deep, or holds a number of thousands of digits.
_UNREADABLE = (ValueError, KeyError, AttributeError, TypeError, RecursionError)
_SURROGATES = re.compile(r"[\ud800-\udfff]")  # halves of a character, which no encoding has


def _as_text(value) -> str:
    """A JSON value as text: nothing for null and NaN, whole numbers as integers, as in ids."""
    if isinstance(value, list):
        return ", ".join(_as_text(part) for part in value)
    if value is None or value != value:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", str(value))


def _atomic_rows(path: Path, id_column: str, separator: str, encoding: str):
    # newline="\n": a carriage return inside a field is text, not the end of a row.
    with path.open(encoding=encoding, newline="\n") as lines:
        header = [field.split(":")[0] for field in lines.readline().rstrip("\r\n").split(separator)]
        if id_column not in header:
            raise ItemTextError(f"{path} has no column `{id_column}`.")
        for number, line in enumerate(lines, start=2):
            if not line.strip("\r\n"):
                continue
            values = line.rstrip("\r\n").split(separator)
            if len(values) != len(header):
                raise ItemTextError(
                    f"{path}, line {number}: {len(values)} fields, the header has {len(header)}."
                )
            row = dict(zip(header, values, strict=True))
            yield row.pop(id_column), row
