"""Histories out of files, one after the other: given tables, and a data set's own interactions."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from recbole_store.errors import DataError
from recbole_store.recommender.histories import ITEM_COLUMNS, USER_COLUMNS
from recbole_store.recommender.table_files import columns_there, read_rows
from recbole_store.settings.dataset_files import check_dataset

LISTED = "items"  # column of whole histories


def read_histories(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Raw user id and raw item ids, user by user, in the file's order.

    A table has a row an interaction, in the order of time and each user's rows together; or a row a
    history, whose column ``items`` holds a list, in CSV with spaces between ids.

    Raises:
        DataError: it cannot be read, or a user's rows are not together.
    """
    there = columns_there(path)
    user = next((name for name in USER_COLUMNS if name in there), None)
    if LISTED in there:
        yield from _listed(path, user)
        return
    item = next((name for name in ITEM_COLUMNS if name in there), None)
    if user is None or item is None:
        raise DataError(
            f"{path} has no columns `{USER_COLUMNS[0]}` and `{ITEM_COLUMNS[0]}`, nor `{LISTED}`; "
            f"its columns are {', '.join(there) or 'none'}."
        )
    done: set[int] = set()
    name, items = None, []
    for place, row in read_rows(path, [user, item]):
        given = _id(row[user])
        if given != name:
            if name is not None:
                yield name, items
            name, items = given, []
            if hash(name) in done:
                raise DataError(f"{place}: {user} {name} comes again; sort the file by {user}.")
            done.add(hash(name))
        items.append(_id(row[item]))
    if name is not None:
        yield name, items


def _listed(path: Path, user: str | None) -> Iterator[tuple[str, list[str]]]:
    columns = [LISTED] if user is None else [user, LISTED]
    for number, (place, row) in enumerate(read_rows(path, columns)):
        items = row[LISTED]
        if items is None or isinstance(items, str):
            items = (items or "").split()
        if not isinstance(items, list):
            raise DataError(f"{place}: `{LISTED}` is no list of item ids.")
        yield _id(row[user]) if user else str(number), [_id(raw) for raw in items]


def _id(value) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value).strip()


def user_history(user: str, dataset: str, data_path: Path, settings: dict) -> list[str]:
    """All raw item ids of a user of a data set, in the order of time, the last one too.

    Args:
        settings: of the model's run, which name the columns.

    Raises:
        SettingsError: there is no such data set.
        DataError: it has no such user, or no such columns.
    """
    folder = check_dataset({**settings, "data_path": str(data_path)}, dataset)
    path = folder / f"{dataset}.inter"
    if not path.is_file():
        raise DataError(f"{path} is missing: histories are read from a data set's one .inter file.")
    separator = settings["field_separator"]
    names = [settings[key] for key in ("USER_ID_FIELD", "ITEM_ID_FIELD", "TIME_FIELD")]
    found: list[tuple[float, str]] = []
    with path.open(encoding=settings.get("encoding") or "utf-8", newline="\n") as lines:
        header = [field.split(":")[0] for field in lines.readline().rstrip("\r\n").split(separator)]
        for name in names[:2]:
            if name not in header:
                raise DataError(f"{path} has no column `{name}`.")
        places = [header.index(name) if name in header else None for name in names]
        for line in lines:
            row = line.rstrip("\r\n").split(separator)
            if len(row) == len(header) and row[places[0]] == user:
                time = 0.0
                with contextlib.suppress(ValueError):
                    time = float(row[places[2]]) if places[2] is not None else 0.0
                found.append((time, row[places[1]]))
    if not found:
        raise DataError(f"{dataset} has no user {user!r}.")
    found.sort(key=lambda pair: pair[0])  # stable: rows of one time stay in the file's order
    return [item for _, item in found]
