"""Writing ``NAME.inter``, ``NAME.text.jsonl`` and ``NAME.item``, row by row."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from recbole_store.data.prepare.atomic_text import clean_value, feature
from recbole_store.data.prepare.times import as_number
from recbole_store.errors import DataError


def write_interactions(path: Path, rows: Iterable, more: dict[str, str]) -> None:
    """``NAME.inter`` from (user, item, time, more values) rows, in their order."""
    names = ["user_id:token", "item_id:token", *(f"{name}:{kind}" for name, kind in more.items())]
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("\t".join([*names, "timestamp:float"]) + "\n")
        for user, item, time, values in rows:
            file.write("\t".join([user, item, *values, as_number(time)]) + "\n")


@dataclass
class TextFigures:
    """What the items' texts hold.

    Attributes:
        items: of the catalogue, those that nothing describes included.
        with_row: items kept that the raw data describe.
        with_text: those of them with at least one text column filled.
        filled: column -> items in which it is filled.
        words: words of each item's text columns together.
    """

    items: int = 0
    with_row: int = 0
    with_text: int = 0
    filled: dict[str, int] = field(default_factory=dict)
    words: list[int] = field(default_factory=list)

    def spread(self) -> dict[str, float]:
        """Mean, median and largest number of words, over items with text."""
        counts = np.array(self.words or [0])
        return {
            "mean": round(float(counts.mean()), 1),
            "median": float(np.median(counts)),
            "max": int(counts.max()),
        }


def write_texts(
    path: Path,
    items: Iterable[tuple[str, dict]],
    columns: Iterable[str],
    text_columns: Iterable[str],
    occurring: set[str],
    keep_all: bool,
) -> TextFigures:
    """``NAME.text.jsonl``: one cleaned ``{"item_id": ..., column: value, ...}`` a line.

    Args:
        items: raw rows; of several for one item the first is taken.
        occurring: ids of the items that have interactions.
        keep_all: write the others as well.
    """
    figures = TextFigures(filled=dict.fromkeys(columns, 0))
    text_columns = list(text_columns)
    written: set[str] = set()
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for raw_id, raw in items:
            if not keep_all and len(written) == len(occurring):
                break
            if raw_id in written or not raw_id or not (keep_all or raw_id in occurring):
                continue
            written.add(raw_id)
            row = {column: clean_value(raw.get(column)) for column in figures.filled}
            file.write(json.dumps({"item_id": raw_id, **row}, ensure_ascii=False) + "\n")
            for column, value in row.items():
                figures.filled[column] += bool(value)
            texts = [row[column] for column in text_columns]
            if any(texts):
                joined = [" ".join(text) if isinstance(text, list) else text for text in texts]
                figures.words.append(sum(len(text.split()) for text in joined))
        # A model that loads NAME.item loses interactions with items that have no row there.
        nothing = dict.fromkeys(figures.filled, "")
        for raw_id in sorted(occurring - written) if written else ():
            file.write(json.dumps({"item_id": raw_id, **nothing}, ensure_ascii=False) + "\n")
    figures.with_row, figures.with_text = len(written), len(figures.words)
    figures.items = len(written | occurring)
    return figures


class Unreadable(NamedTuple):
    """Values of a column that are no numbers."""

    count: int
    first: str


def write_features(path: Path, texts: Path, kinds: dict[str, str]) -> dict[str, Unreadable]:
    """``NAME.item`` from ``NAME.text.jsonl``, in a form that RecBole's parser survives.

    A column that no item fills is left out: RecBole cannot load one.

    Returns:
        Columns of type float that hold values that are no numbers, which are left empty.
    """
    unreadable: dict[str, Unreadable] = {}

    def rows():
        with texts.open(encoding="utf-8", newline="\n") as lines:
            for line in lines:
                row = json.loads(line)
                yield row, {name: feature(row[name], kind) for name, kind in kinds.items()}

    filled = dict.fromkeys(kinds, 0)
    for raw, row in rows():
        for name, value in row.items():
            filled[name] += bool(value)
            if raw[name] and not value and kinds[name] == "float":
                before = unreadable.get(name, Unreadable(0, str(raw[name])))
                unreadable[name] = before._replace(count=before.count + 1)
    filled = {name: n for name, n in filled.items() if n}
    with path.open("w", encoding="utf-8", newline="\n") as file:
        header = ["item_id:token", *(f"{name}:{kinds[name]}" for name in filled)]
        file.write("\t".join(header) + "\n")
        for raw, row in rows():
            file.write("\t".join([raw["item_id"], *(row[name] for name in filled)]) + "\n")
    return unreadable


def check_column_names(names: Iterable[str]) -> None:
    """Raises DataError for a name that cannot stand in the header of an atomic file."""
    for name in names:
        reserved = name in ("user_id", "item_id", "timestamp")
        if not name or reserved or any(mark in name for mark in ':\t\r\n"'):
            raise DataError(f"The column name {name!r} cannot stand in an atomic file's header.")
