"""Filters and order against the same answers worked out in plain Python."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from recbole_store.data.prepare.database import database_faults
from recbole_store.data.prepare.interactions import Interaction, Interactions, Span
from recbole_store.errors import DataError


@pytest.fixture
def load(tmp_path):
    """``load(rows)`` of (user, item, seconds[, fraction])."""
    opened = []

    def run(rows, **options) -> Interactions:
        folder = tmp_path / str(len(opened))
        folder.mkdir()
        interactions = Interactions(folder, **options)
        opened.append(interactions)
        interactions.load(Interaction(u, i, (*time, 0)[:2]) for u, i, *time in rows)
        return interactions

    yield run
    for interactions in opened:
        interactions.close()


def kept(interactions) -> list[str]:
    """Rows in time order as "user item seconds"."""
    return [f"{user} {item} {time[0]}" for user, item, time, _ in interactions.in_time_order()]


def test_time_order_over_the_whole_file_ties_as_they_came(load):
    rows = [("b", "x", 2), ("a", "y", 1, 5), ("a", "x", 1, 4), ("c", "z", -1), ("a", "w", 2)]
    assert kept(load(rows)) == ["c z -1", "a x 1", "a y 1", "b x 2", "a w 2"]


def test_order_of_many_rows_equals_a_stable_sort(load):
    rng = random.Random(1)
    rows = [(f"u{rng.randrange(500)}", f"i{n}", rng.randrange(1_000)) for n in range(120_000)]
    expected = [f"{u} {i} {t}" for u, i, t in sorted(rows, key=lambda row: row[2])]
    assert kept(load(rows)) == expected


def test_incomplete_rows_are_counted(tmp_path):
    interactions = Interactions(tmp_path)
    rows = [Interaction("", "x", (1, 0)), Interaction("a", "", (1, 0)), Interaction("a", "x", None)]
    assert interactions.load([*rows, Interaction("a", "x", (1, 0))]) == 4
    assert interactions.incomplete == 3 and len(interactions) == 1
    interactions.close()


def test_more_columns_stay_with_their_row(tmp_path):
    interactions = Interactions(tmp_path, ["rating", "place"])
    interactions.load(
        Interaction("a", f"i{n}", (9 - n, 0), (f"{n}.0", "" if n else "x y")) for n in range(3)
    )
    assert [more for *_, more in interactions.in_time_order()] == [
        ("2.0", ""),
        ("1.0", ""),
        ("0.0", "x y"),
    ]
    interactions.close()


TWICE = [("a", "x", 1), ("a", "x", 3), ("a", "x", 1), ("a", "y", 2), ("b", "x", 1), ("a", "x", 3)]


@pytest.mark.parametrize(
    ("policy", "dropped", "rows"),
    [
        ("keep", 0, ["a x 1", "a x 1", "b x 1", "a y 2", "a x 3", "a x 3"]),
        ("exact", 2, ["a x 1", "b x 1", "a y 2", "a x 3"]),
        ("first", 3, ["a x 1", "b x 1", "a y 2"]),
        ("last", 3, ["b x 1", "a y 2", "a x 3"]),
    ],
)
def test_duplicates(load, policy, dropped, rows):
    interactions = load(TWICE)
    assert interactions.drop_duplicates(policy) == dropped
    assert kept(interactions) == rows


def test_times_and_latest(load):
    rows = [("a", f"i{n}", n) for n in range(10)] + [("b", "x", 5), ("a", "tie", 9)]
    interactions = load(rows)
    assert interactions.keep_times((3, 0), (9, 1)) == 3
    assert interactions.keep_latest(2) == 6
    assert kept(interactions) == ["b x 5", "a i9 9", "a tie 9"]


def core(rows: list, of_user: int, of_item: int) -> list:
    """The core in a few lines, for comparison."""
    while True:
        users, items = (Counter(row[n] for row in rows) for n in (0, 1))
        left = [r for r in rows if users[r[0]] >= of_user and items[r[1]] >= of_item]
        if len(left) == len(rows):
            return left
        rows = left


@pytest.mark.parametrize(("of_user", "of_item"), [(1, 1), (3, 3), (5, 5), (6, 4), (4, 1)])
def test_core(load, of_user, of_item):
    rng = random.Random(of_user)
    rows = [(f"u{rng.randrange(60)}", f"i{rng.randrange(60)}", n) for n in range(260)]
    expected = [f"{u} {i} {t}" for u, i, t in core(rows, of_user, of_item)]
    interactions = load(rows)
    gone, rounds = interactions.keep_core(of_user, of_item)
    assert kept(interactions) == expected
    assert gone == 260 - len(expected)
    assert (rounds > 0) == (gone > 0)


def test_a_chain_falls_apart_one_by_one(load):
    """Each round takes one user, whose loss takes one item: a fixed point needs them all."""
    rows = [(f"u{n}", f"i{m}", n) for n in range(40) for m in (n, n + 1)]
    interactions = load(rows)
    assert interactions.keep_core(2, 2)[0] == 80
    assert interactions.keep_core(2, 2) == (0, 0)


def test_figures(load):
    interactions = load(TWICE)
    assert interactions.counts("user") == (2, Span(1, 3.0, 3.0, 5))
    assert interactions.counts("item") == (2, Span(1, 3.0, 3.0, 5))
    assert interactions.time_span() == ((1, 0), (3, 0))
    assert interactions.repeated_pairs() == 3
    assert interactions.exact_duplicates() == 2
    assert interactions.ties() == (4, 1)
    assert interactions.items() == {"x", "y"}


def test_too_little_memory_is_said(tmp_path):
    interactions = Interactions(tmp_path, memory="2MB")
    rows = (Interaction(f"u{n}" * 20, f"i{n}" * 20, (n, 0)) for n in range(200_000))
    with pytest.raises(DataError, match="--memory"), database_faults():
        interactions.load(rows)
        interactions.drop_duplicates("first")
    interactions.close()


def test_ctrl_c_in_a_query_is_an_interruption():
    """DuckDB raises a RuntimeError of these words; any other one stays what it is."""
    with pytest.raises(KeyboardInterrupt), database_faults():
        raise RuntimeError("Query interrupted")
    with pytest.raises(RuntimeError, match="else"), database_faults():
        raise RuntimeError("something else")


# Baskets

BASKETS = [
    ("a", "x", (86_400 * 3 + 7, 5)),
    ("a", "y", (86_400 * 3 + 7, 4)),
    ("a", "z", (86_400 * 3 + 6, 0)),
    ("a", "w", (-1, 0)),
    ("a", "v", (-86_400, 0)),
    ("b", "x", (86_400 * 4 - 1, 9)),
]


@pytest.mark.parametrize(
    ("unit", "times", "first"),
    [
        ("second", [-86_400, -1, 86_400 * 3 + 6, 86_400 * 3 + 7, 86_400 * 4 - 1], "vwzxyx"),
        ("day", [-86_400, 86_400 * 3], "wvxyzx"),
    ],
)
def test_ties_within_a_unit_stand_in_the_file_s_order(tmp_path, unit, times, first):
    """Days before 1970 as well."""
    table = Interactions(tmp_path)
    table.load(Interaction(*row) for row in BASKETS)
    table.tie_within(unit)
    rows = list(table.in_time_order())
    assert sorted({time for _, _, time, _ in rows}) == [(time, 0) for time in times]
    assert "".join(item for _, item, *_ in rows) == first


def test_shuffled_ties(tmp_path):
    """Rows of one time in another order, the same each time; rows of different times in theirs."""

    def shuffled(folder) -> list[tuple[str, int]]:
        folder.mkdir()
        table = Interactions(folder)
        table.load(Interaction("a", f"i{n}", (n // 50, 0)) for n in range(200))
        table.shuffle_ties()
        assert len(table) == 200
        return [(item, time[0]) for _, item, time, _ in table.in_time_order()]

    rows = shuffled(tmp_path / "one")
    assert [time for _, time in rows] == [n // 50 for n in range(200)]
    for start in range(0, 200, 50):
        basket = [int(item[1:]) for item, _ in rows[start : start + 50]]
        assert sorted(basket) == list(range(start, start + 50)) != basket
    assert shuffled(tmp_path / "two") == rows
