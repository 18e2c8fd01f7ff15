"""Interactions on disk: filters, exact time order and figures, in bounded memory (DuckDB)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from recbole_store.data.prepare.database import MEMORY, ROWS_AT_ONCE, database
from recbole_store.data.prepare.times import Time

# Which rows of one user and item stay.
DUPLICATES = {
    "keep": None,
    "exact": ("user_id, item_id, seconds, fraction", "ordinal"),
    "first": ("user_id, item_id", "seconds, fraction, ordinal"),
    "last": ("user_id, item_id", "seconds DESC, fraction DESC, ordinal DESC"),
}

# What rows of one time are: one basket, in the file's order or in a random one.
TIES = ("file", "shuffle")
TIE_UNITS = {"second": 1, "day": 86_400}  # seconds


class Interaction(NamedTuple):
    """One row of raw data; ids are already safe (``atomic_text.safe_id``)."""

    user: str
    item: str
    time: Time | None
    more: tuple[str, ...] = ()  # values of further .inter columns


class Span(NamedTuple):
    """Smallest, median, mean and largest of some counts."""

    min: float
    median: float
    mean: float
    max: float


class Interactions:
    """A table of interactions in a DuckDB file.

    Attributes:
        more: names of the columns beside user, item and time.
        incomplete: rows left out because they lacked user, item or time.
    """

    def __init__(self, folder: Path, more: Iterable[str] = (), memory: str = MEMORY):
        self.more = tuple(more)
        self.incomplete = 0
        self.connection = database(folder, memory)
        extra = "".join(f", more_{n} VARCHAR" for n in range(len(self.more)))
        self._more_names = "".join(f", more_{n}" for n in range(len(self.more)))
        self._run(
            "CREATE TABLE raw (ordinal BIGINT, user_name VARCHAR, item_name VARCHAR, "
            f"seconds BIGINT, fraction BIGINT{extra})"
        )

    def close(self) -> None:
        self.connection.close()

    def _run(self, query: str, values=None):
        return self.connection.execute(query, values)

    def _number(self, query: str, values=None) -> int:
        return self._run(query, values).fetchone()[0]

    # --- reading -----------------------------------------------------------------------------

    def load(self, rows: Iterable[Interaction]) -> int:
        """Take all rows in, in their order; how many there are, incomplete ones included."""
        batch: list[Interaction] = []
        ordinal = 0
        for row in rows:
            if not row.user or not row.item or row.time is None:
                self.incomplete += 1
                continue
            batch.append(row)
            if len(batch) == ROWS_AT_ONCE:
                ordinal = self._insert(batch, ordinal)
        ordinal = self._insert(batch, ordinal)
        self._number_names()
        return ordinal + self.incomplete

    def _insert(self, batch: list[Interaction], ordinal: int) -> int:
        if batch:
            columns = {
                "ordinal": np.arange(ordinal, ordinal + len(batch)),
                "user_name": np.array([row.user for row in batch], dtype=object),
                "item_name": np.array([row.item for row in batch], dtype=object),
                "seconds": np.array([row.time[0] for row in batch], dtype=np.int64),
                "fraction": np.array([row.time[1] for row in batch], dtype=np.int64),
            }
            for n in range(len(self.more)):
                columns[f"more_{n}"] = np.array([row.more[n] for row in batch], dtype=object)
            self.connection.register("batch", columns)
            self._run("INSERT INTO raw SELECT * FROM batch")
            self.connection.unregister("batch")
            ordinal += len(batch)
            batch.clear()
        return ordinal

    def _number_names(self) -> None:
        # Filters and sorts then move integers of 4 bytes instead of names.
        for kind in ("user", "item"):
            self._run(
                f"CREATE TABLE {kind}s AS SELECT {kind}_name, "
                f"(row_number() OVER ())::INTEGER AS {kind}_id FROM raw GROUP BY {kind}_name"
            )
        self._run(
            "CREATE TABLE kept AS SELECT ordinal, user_id, item_id, seconds, fraction"
            f"{self._more_names} FROM raw JOIN users USING (user_name) JOIN items USING (item_name)"
        )
        self._run("DROP TABLE raw")

    # --- filters -----------------------------------------------------------------------------

    def keep_times(self, since: Time | None, until: Time | None) -> int:
        """Keep ``since <= time < until``; returns how many rows went."""
        gone = 0
        for time, outside in ((since, "<"), (until, ">=")):
            if time is not None:
                query = f"DELETE FROM kept WHERE (seconds, fraction) {outside} (?, ?)"
                gone += self._number(query, list(time))
        return gone

    def tie_within(self, unit: str) -> None:
        """Cut times to whole units of TIE_UNITS, so that what lies within one is at one time."""
        self._run(
            f"UPDATE kept SET seconds = seconds - mod(mod(seconds, {TIE_UNITS[unit]}) + "
            f"{TIE_UNITS[unit]}, {TIE_UNITS[unit]}), fraction = 0"
        )

    def shuffle_ties(self) -> None:
        """Let rows of one time stand in a random order, the same one each time.

        The place in the file orders such rows alone, so all places may change.
        """
        self._run(
            "UPDATE kept SET ordinal = place FROM (SELECT ordinal AS old, row_number() OVER "
            "(ORDER BY md5(ordinal::VARCHAR), ordinal) AS place FROM kept) WHERE ordinal = old"
        )

    def drop_duplicates(self, policy: str) -> int:
        """Drop repeated rows by a policy of DUPLICATES; returns how many rows went."""
        if DUPLICATES[policy] is None:
            return 0
        same, order = DUPLICATES[policy]
        return self._drop_behind(1, same, order)

    def keep_latest(self, n_items: int) -> int:
        """Keep each user's last ``n_items`` interactions; returns how many rows went."""
        order = "seconds DESC, fraction DESC, ordinal DESC"
        return self._drop_behind(n_items, "user_id", order)

    def _drop_behind(self, place: int, group: str, order: str) -> int:
        return self._number(
            "DELETE FROM kept WHERE ordinal IN (SELECT ordinal FROM (SELECT ordinal, row_number() "
            f"OVER (PARTITION BY {group} ORDER BY {order}) AS place FROM kept) WHERE place > ?)",
            [place],
        )

    def keep_core(self, of_user: int, of_item: int) -> tuple[int, int]:
        """Drop users and items with fewer interactions, over and over until nobody has fewer.

        Returns:
            How many rows went, and in how many rounds.
        """
        gone = rounds = 0
        while True:
            before = gone
            for kind, least in (("user", of_user), ("item", of_item)):
                if least > 1:
                    gone += self._number(
                        f"DELETE FROM kept WHERE {kind}_id IN (SELECT {kind}_id FROM kept "
                        f"GROUP BY {kind}_id HAVING count(*) < ?)",
                        [least],
                    )
            if gone == before:
                return gone, rounds
            rounds += 1

    # --- results -----------------------------------------------------------------------------

    def __len__(self) -> int:
        return self._number("SELECT count(*) FROM kept")

    def in_time_order(self) -> Iterator[tuple[str, str, Time, tuple[str, ...]]]:
        """(user, item, time, more) of every row kept; rows of one time in the file's order."""
        rows = self._run(
            f"SELECT user_name, item_name, seconds, fraction{self._more_names} FROM kept "
            "JOIN users USING (user_id) JOIN items USING (item_id) "
            "ORDER BY seconds, fraction, ordinal"
        )
        while batch := rows.fetchmany(ROWS_AT_ONCE):
            for user, item, seconds, fraction, *more in batch:
                yield user, item, (seconds, fraction), tuple(more)

    def items(self) -> set[str]:
        """Ids of the items kept."""
        rows = self._run("SELECT item_name FROM items SEMI JOIN kept USING (item_id)").fetchall()
        return {name for (name,) in rows}

    def counts(self, kind: str) -> tuple[int, Span]:
        """How many users or items there are, and the interactions that each of them has."""
        n, *span = self._run(
            "SELECT count(*), min(n), median(n), avg(n), max(n) FROM "
            f"(SELECT count(*) AS n FROM kept GROUP BY {kind}_id)"
        ).fetchone()
        return n, Span(*span)

    def time_span(self) -> tuple[Time, Time]:
        """The first and the last time."""
        ends = []
        for order in ("", "DESC"):
            row = self._run(
                "SELECT seconds, fraction FROM kept "
                f"ORDER BY seconds {order}, fraction {order} LIMIT 1"
            ).fetchone()
            ends.append(tuple(row))
        return ends[0], ends[1]

    def repeated_pairs(self) -> int:
        """Rows beyond the first of their user and item."""
        pairs = self._number("SELECT count(*) FROM (SELECT 1 FROM kept GROUP BY user_id, item_id)")
        return len(self) - pairs

    def exact_duplicates(self) -> int:
        """Rows beyond the first of their user, item and time."""
        distinct = self._number(
            "SELECT count(*) FROM (SELECT 1 FROM kept GROUP BY user_id, item_id, seconds, fraction)"
        )
        return len(self) - distinct

    def ties(self) -> tuple[int, int]:
        """Interactions that share their user and time with another, and users who have such."""
        return self._run(
            "SELECT coalesce(sum(n), 0)::BIGINT, count(DISTINCT user_id) FROM (SELECT user_id, "
            "count(*) AS n FROM kept GROUP BY user_id, seconds, fraction HAVING count(*) > 1)"
        ).fetchone()
