"""Impressions with labels as RecBole benchmark files: one target a row, the history ready.

RecBole would build histories from all rows of a user, shown news among them. So the history stands
in each row as ``item_id_list``, and it holds clicks only.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np

from recbole_store.data.prepare.database import database
from recbole_store.data.prepare.times import Time, as_number
from recbole_store.errors import DataError

ROWS_AT_ONCE = 10_000
SPLITS = ("train", "valid", "test")
HEADER = (
    "user_id:token\titem_id:token\titem_id_list:token_seq\tlabel:float\ttimestamp:float\t"
    "impression_id:token\n"
)
DAY = 86_400


class Impression(NamedTuple):
    """What a user saw at one time.

    Attributes:
        number: place in the raw files, from 1.
        is_dev: whether it is of the second raw file.
        history: items clicked before, the latest last.
        shown: (item, "1" if clicked, else "0").
    """

    number: int
    is_dev: bool
    user: str
    time: Time
    history: list[str]
    shown: list[tuple[str, str]]


def write_impressions(
    impressions: Iterable[Impression],
    folder: Path,
    name: str,
    max_history: int,
    all_in_train: bool,
    memory: str,
) -> dict[str, int]:
    """Write ``NAME.train.inter``, ``NAME.valid.inter`` and ``NAME.test.inter`` in time order.

    The test split is dev, or without dev the last day; the valid split is the last day before.
    Impressions without a history are left out: sequential models have nothing to read for them.

    Args:
        max_history: latest clicks that a row holds.
        all_in_train: whether the train split holds what was not clicked, too.

    Returns:
        Rows of each split, clicks among them, and how many impressions were left out.
    """
    working = folder / "working"
    working.mkdir()
    rows: Counter[str] = Counter()
    try:
        with database(working, memory) as connection:
            without_history = _load(connection, impressions)
            test_day, valid_day = _split_days(connection)
            ordered = connection.execute(
                "SELECT number, is_dev, user_name, seconds, history, shown FROM impressions "
                "ORDER BY seconds, number"
            )
            with ExitStack() as files:
                outputs = {
                    split: files.enter_context(
                        (folder / f"{name}.{split}.inter").open("w", encoding="utf-8", newline="\n")
                    )
                    for split in SPLITS
                }
                for output in outputs.values():
                    output.write(HEADER)
                while batch := ordered.fetchmany(ROWS_AT_ONCE):
                    for number, is_dev, user, seconds, history, shown in batch:
                        day = seconds // DAY
                        split = "train"
                        if is_dev or (test_day is not None and day >= test_day):
                            split = "test"
                        elif day >= valid_day:
                            split = "valid"
                        clicks = " ".join(history.split(" ")[-max_history:])
                        for word in shown.split(" "):
                            item, _, label = word.rpartition("-")
                            if label == "1" or all_in_train or split != "train":
                                time = as_number((seconds, 0))
                                outputs[split].write(
                                    f"{user}\t{item}\t{clicks}\t{label}\t{time}\t{number}\n"
                                )
                                rows[f"{split} rows"] += 1
                                rows[f"{split} clicks"] += label == "1"
    finally:
        shutil.rmtree(working)
    for split in SPLITS:
        if not rows[f"{split} rows"]:
            raise DataError(
                f"No impressions for the {split} split: without dev, three days of impressions "
                "with histories are needed, with dev two days of train."
            )
    return {**dict(sorted(rows.items())), "impressions without history": without_history}


def _load(connection, impressions: Iterable[Impression]) -> int:
    connection.execute(
        "CREATE TABLE impressions (number BIGINT, is_dev BOOLEAN, user_name VARCHAR, "
        "seconds BIGINT, history VARCHAR, shown VARCHAR)"
    )
    batch: list[tuple] = []
    without_history = 0

    def insert() -> None:
        if batch:
            number, is_dev, user, seconds, history, shown = zip(*batch, strict=True)
            columns = {
                "number": np.array(number, dtype=np.int64),
                "is_dev": np.array(is_dev, dtype=bool),
                "user_name": np.array(user, dtype=object),
                "seconds": np.array(seconds, dtype=np.int64),
                "history": np.array(history, dtype=object),
                "shown": np.array(shown, dtype=object),
            }
            connection.register("batch", columns)
            connection.execute("INSERT INTO impressions SELECT * FROM batch")
            connection.unregister("batch")
            batch.clear()

    for row in impressions:
        if not row.history:
            without_history += 1
            continue
        shown = " ".join(f"{item}-{label}" for item, label in row.shown)
        batch.append((row.number, row.is_dev, row.user, row.time[0], " ".join(row.history), shown))
        if len(batch) == ROWS_AT_ONCE:
            insert()
    insert()
    return without_history


def _split_days(connection) -> tuple[int | None, int]:
    """First days of test (None if dev is the test split) and of valid, counted from 1970."""
    days = connection.execute(
        f"SELECT DISTINCT seconds // {DAY} AS day FROM impressions WHERE NOT is_dev "
        "ORDER BY day DESC LIMIT 2"
    ).fetchall()
    (n_dev,) = connection.execute("SELECT count(*) FROM impressions WHERE is_dev").fetchone()
    if not days:
        raise DataError("No impression of train has a history.")
    last, before = days[0][0], days[-1][0]
    return (None, last) if n_dev else (last, before)
