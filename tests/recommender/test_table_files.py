"""Tables that people get."""

from __future__ import annotations

import pytest

from recbole_store.recommender.table_files import read_rows, written

ROWS = [["=1+1", "@home", -0.5], ["-7", "+49 30", 2.0]]


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("out.csv", ["'=1+1", "'@home"], ["-7", "'+49 30"]),
        ("out.tsv", ["'=1+1", "'@home"], ["-7", "'+49 30"]),
        ("out.jsonl", ["=1+1", "@home"], ["-7", "+49 30"]),
        ("out.parquet", ["=1+1", "@home"], ["-7", "+49 30"]),
    ],
)
def test_no_cell_is_a_formula_to_a_spreadsheet(tmp_path, name, first, second):
    """What a spreadsheet does not open holds texts as they are."""
    with written(tmp_path / name, ["item_id", "title", "score"]) as write:
        for row in ROWS:
            write(row)
    rows = [row for _, row in read_rows(tmp_path / name, ["item_id", "title", "score"], (), False)]
    assert [[row["item_id"], row["title"]] for row in rows] == [first, second]
    assert [float(row["score"]) for row in rows] == [-0.5, 2.0]
