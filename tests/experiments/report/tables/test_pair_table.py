"""Paired differences as tables: a family each, losses as wins."""

from __future__ import annotations

import pytest
from planted_kept import BAD, GOOD, RISING, bare, planted, rows

from recbole_store.experiments.report.tables.pair_table import pair_tables


def test_a_row_tells_the_verdict_the_difference_and_its_interval():
    (table,) = pair_tables([planted("STORE", GOOD), planted("B", BAD)], "planted")
    assert table.title == "planted: STORE against the other models"
    assert table.header[:2] == ["against", "STORE is"]
    ((other, said, difference, interval, p, users),) = rows(table)
    assert (other, said, p, users) == ("B", "ahead", "<0.0001", "40")
    low, high = interval.split(" to ")
    assert float(low) < float(difference) < float(high) and difference.startswith("+0.")


def test_a_loss_stands_there_as_a_loss():
    (table,) = pair_tables([planted("STORE", BAD), planted("B", GOOD)], "")
    assert rows(table)[0][1] == "behind" and rows(table)[0][2].startswith("-0.")


def test_other_models_and_own_variants_are_two_families():
    runs = [planted("STORE", GOOD, variant=variant) for variant in ("", "x", "y")]
    runs += [planted("B", BAD, valid={"ndcg@10": 0.9}), planted("C", BAD)]
    others, variants = pair_tables(runs, "t")
    assert variants.title == "t: STORE against its variants"
    assert [row[0] for row in others.rows] == ["B", "C"], "best on validation first"
    assert [row[0] for row in variants.rows] == ["STORE:x", "STORE:y"]
    assert "for 2 tests." in others.notes[0] and "for 2 tests." in variants.notes[0]


def test_undecided_is_said_not_to_be_equal():
    """Better for 5 of 40 users: p .023 alone, above .05 among three tests."""
    runs = [planted("STORE", [1] * 5 + [0] * 35)]
    runs += [planted(name, [0] * 40) for name in ("B", "C", "D")]
    (table,) = pair_tables(runs, "")
    assert [row[1] for row in table.rows] == ["undecided"] * 3
    assert table.rows[0][3].startswith("+0."), "though its own interval leaves out 0"
    assert "Undecided is not equal" in table.notes[-1]


@pytest.mark.parametrize("rising", ["STORE", "B"])
def test_what_was_still_rising_is_marked_on_either_side_and_judged_alike(rising):
    runs = [
        planted(name, ranks, **(RISING if name == rising else {}))
        for name, ranks in (("STORE", GOOD), ("B", BAD))
    ]
    (table,) = pair_tables(runs, "t")
    assert ("STORE †" in table.title) == (rising == "STORE")
    assert table.rows[0][:2] == ["B †" if rising == "B" else "B", "ahead"]
    assert any(note.startswith("† Its best evaluation was its last") for note in table.notes)


def test_nothing_to_pair():
    assert pair_tables([planted("A")], "") == []
    assert pair_tables([bare("A", {}, **{"ndcg@10": 1}), planted("B")], "") == []


def test_runs_of_other_users_are_named_not_paired():
    strangers = planted("C", BAD, users=[f"x{n}" for n in range(40)])
    (table,) = pair_tables([planted("A", GOOD), planted("B", BAD), strangers], "")
    assert len(table.rows) == 1
    assert "C on planted, seed 2020 was tested on other users" in " ".join(table.notes)
