"""Item columns -> one text per item.

RecBole's parser drops repeated spaces, breaks on quotes and turns titles such as "NA" into
nothing, so texts are read here: UTF-8, tab-separated, no quoting, every character kept.
"""

from __future__ import annotations

import json
from pathlib import Path

from recbole_store.errors import ItemTextError


def read_item_texts(
    folder: str | Path,
    name: str,
    raw_ids,
    id_column: str = "item_id",
    pieces: dict[str, str] | None = None,
    separator: str = "\t",
    encoding: str = "utf-8",
) -> list[list[str]]:
    """Read the text of every item.

    ``NAME.text.jsonl`` (one ``{"item_id": raw id, column: text, ...}`` a line) is read where it
    exists, else ``NAME.item``.

    Args:
        folder, name: of the dataset.
        raw_ids: raw id of each item_id; entry 0 is the padding.
        pieces: text column -> its piece of the text, ``{}`` being the column's value; None takes
            every column but the id as ``column: value``.

    Returns:
        Per item_id the list of its filled pieces; an item without text, and padding, has none.

    Example:
        pieces {"title": "{}", "year": "({})"} and a row Alien, 1979 -> ["Alien", "(1979)"]

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
            f"STORE reads items' texts, but {name} has none: neither {side_file} nor {atomic_file}"
            " exists."
        )
    source = side_file if side_file.is_file() else atomic_file
    columns, texts = set(), {}
    try:
        for raw_id, values in rows:
            columns.update(values)
            texts[raw_id] = values
    except UnicodeDecodeError as error:
        raise ItemTextError(f"{source} is not {encoding}: set `encoding` to what it is.") from error
    if pieces is None:
        pieces = {column: column + ": {}" for column in sorted(columns)}
    missing = [column for column in pieces if column not in columns]
    if missing or not pieces:
        raise ItemTextError(
            f"`item_text` names {', '.join(missing) or 'no column'}, which {source} does not have; "
            f"its text columns are {', '.join(sorted(columns)) or 'none'}."
        )
    no_text: dict[str, str] = {}
    found = [[]] + [
        [
            piece.replace("{}", value)
            for column, piece in pieces.items()
            if (value := texts.get(str(raw_id), no_text).get(column, "").strip())
        ]
        for raw_id in list(raw_ids)[1:]
    ]
    if not any(found):
        raise ItemTextError(f"{source} has no text for any of the items that {name} has.")
    return found


def join_pieces(pieces: list[str]) -> str:
    """The pieces as one text: ["Alien", "(1979)"] -> "Alien (1979)"."""
    return " ".join(pieces)


def _jsonl_rows(path: Path, id_column: str, encoding: str):
    with path.open(encoding=encoding) as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                raw_id = str(row.pop(id_column))
            except (json.JSONDecodeError, KeyError, AttributeError, TypeError) as error:
                raise ItemTextError(
                    f"{path}, line {number}: must be a JSON object with `{id_column}`."
                ) from error
            yield raw_id, {key: _as_text(value) for key, value in row.items()}


def _as_text(value) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(_as_text(part) for part in value)
    return str(value)


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
