"""One table on a console, in Markdown and on a page."""

from __future__ import annotations

import pytest

from recbole_store.experiments.report.tables.layout import (
    Cell,
    Table,
    as_html,
    as_markdown,
    as_text,
)

TABLE = Table(
    "T",
    ["model", "NDCG@10"],
    [["STORE:x_y", Cell("0.2", "±0.1", "best")], ["Pop", Cell("0.1", mark="second")]],
    ["One.", "Two."],
)


def test_text_is_aligned_and_has_no_marks():
    assert as_text(TABLE).split("\n") == [
        "T",
        "model       NDCG@10",
        "---------  --------",
        "STORE:x_y  0.2 ±0.1",
        "Pop             0.1",
        "One.",
        "Two.",
    ]


def test_markdown():
    assert as_markdown(TABLE).split("\n") == [
        "**T**",
        "",
        "| model | NDCG@10 |",
        "| --- | ---: |",
        "| STORE:x_y | **0.2** ±0.1 |",
        "| Pop | *0.1* |",
        "",
        "One. Two. **Best** and *second best* of a column.",
    ]


def test_html():
    html = as_html(TABLE)
    assert '<td class="best"><strong>0.2</strong> <small>±0.1</small></td>' in html
    assert '<td class="second"><u>0.1</u></td>' in html
    assert '<th scope="row">STORE:<wbr>x_<wbr>y</th>' in html
    assert "One. Two. The best of a column is bold" in html


def test_no_text_is_markup():
    table = Table("<T>", ["<h>"], [["<i>&"], [Cell("<b>", "<s>", "best")]], ["<n>"])
    html = as_html(table)
    for text in ("<T>", "<h>", "<i>", "<b>", "<s>", "<n>"):
        assert text not in html and text.replace("<", "&lt;").replace(">", "&gt;") in html
    piped = as_markdown(Table("T", ["a"], [["x | y\nz"]]))
    assert piped.endswith(r"| x \| y z |")


@pytest.mark.parametrize("n_columns", [2, 9, 30])
def test_what_does_not_fit_stands_below_behind_the_first_column(n_columns):
    header = ["model", *(f"metric number {n}" for n in range(n_columns))]
    rows = [[f"M{row}", *(f"{row}.{n}" for n in range(n_columns))] for row in range(3)]
    lines = as_text(Table("T", header, rows, ["word " * 60])).split("\n")
    assert max(map(len, lines)) <= 120
    shown = " ".join(lines)
    assert all(cell in shown.split() for row in rows for cell in row)
    assert all(f"metric number {n}" in shown for n in range(n_columns))
    heads = [line for line in lines if line.startswith("model")]
    assert len(heads) == sum(line.startswith("M2") for line in lines)
    assert len(heads) == -(-n_columns // 6)


def test_long_words_stand_on_several_lines():
    table = Table("T", ["model", "value"], [["settings " * 12, "1"], ["B", "2"]])
    lines = as_text(table).split("\n")
    assert len(lines) == 3 + 3 + 1 and max(map(len, lines)) < 60
    assert lines[3].endswith("1") and lines[-1].endswith("2") and "1" not in lines[4]
