"""Slices, lists and semantic IDs, from planted runs."""

from __future__ import annotations

import pytest
from planted_kept import GOOD, RISING, bare, column, marks, planted, rows

from recbole_store.experiments.report.tables.detail_tables import detail_tables

STORE = {"distinct": 30, "dead_codes": [0, 5], "collision_rate": 0.25, "retokenized_same": 0.5}


def found(runs) -> dict:
    return {table.title.partition(": ")[2]: table for table in detail_tables(runs, "planted")}


def test_slices_by_hand():
    """Histories of 1 .. 40 items: the shortest 14 are users 0 to 13."""
    table = found([planted("STORE", GOOD), planted("Pop", [0] * 40, **RISING)])[
        "NDCG@10, unfiltered, by slices of the users"
    ]
    assert [head for head in table.header if head.startswith("short")] == ["short (14 users)"]
    shown = column(table, "short (14 users)")
    by_hand = sum({1: 1, 2: 0.63093, 3: 0.5}[rank] for rank in GOOD[:14]) / 14
    assert shown[0].startswith(f"{by_hand:.4f} ±") and shown[1].startswith("0.0000")
    assert marks(table, "short (14 users)") == ["best", "second"]
    assert column(table, "model") == ["STORE", "Pop †"]
    assert "short: at most 14 items" in table.notes[0]


def test_slices_are_of_the_runs_own_filter():
    protocol = {"filter_history": True, "n_test": 40}
    tables = found([planted("STORE", GOOD, protocol=protocol)])
    assert "NDCG@10, filtered, by slices of the users" in tables


def test_lists_and_semantic_ids_stand_for_those_who_have_them():
    runs = [planted("STORE", store=STORE, certain_topk={"unfiltered": {"10": 0.5, "5": 0.75}})]
    tables = found([*runs, planted("Pop")])
    ids, lists = tables["semantic IDs"], tables["recommended lists"]
    assert ids.header == ["model", "distinct", "collision rate", "dead codes"]
    assert rows(ids) == [["STORE", "30", "0.2500", "2.5"]], "means over levels; old figures are out"
    assert column(lists, "certain top@5") == ["0.7500", "-"]
    assert lists.header.index("certain top@5") < lists.header.index("certain top@10")
    assert float(column(lists, "average popularity@10")[0]) == pytest.approx(64, abs=10)


def test_nothing_is_shown_of_what_nobody_has():
    assert detail_tables([bare("A", {}, **{"ndcg@10": 0.1})], "") == []
