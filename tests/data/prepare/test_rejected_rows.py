"""Rows that cannot be read: one sentence about the first, or all of them listed and left out."""

from __future__ import annotations

import duckdb
import pytest

from recbole_store.data.prepare.rejected_rows import LONGEST

COLUMNS = ("--user=u", "--item=i", "--time=t", "--text", "title")
HEADER = "u,i,t,title"
GOOD = ["a,x,1,Lamp", "b,x,2,Lamp"]
# A line that cannot be read -> what is said of it.
BAD_CSV = {
    "a,x,soon,Lamp": "the time 'soon' is neither a number nor an ISO date",
    "a,x,3": "3 fields where 4 were expected",
    "a,x,3,Lamp,more": "5 fields where 4 were expected",
    'a,x,"3"4,Lamp': "not a CSV row",
    'a,x,"3,Lamp': "not a CSV row",
}
BAD_JSON = {
    "{nope": "not a JSON object",
    "[1, 2]": "not a JSON object",
    "[" * 100_000: "not a JSON object",
    '{"u": ' + "9" * 5_000 + "}": "not a JSON object",
    '{"u": {"$oid": 1}, "i": "x", "t": 3}': "is no id",
    '{"u": "a", "i": "x", "t": [3]}': "the time [3] is neither a number",
    '{"u": "a", "i": "x", "t": 1e99}': "too large",
}


def rejected(prepared) -> list[list[str]]:
    header, *rows = [line.split("\t") for line in prepared.lines("rejected.tsv")]
    assert header == ["file", "line", "reason", "row"]
    return rows


@pytest.mark.parametrize("line", BAD_CSV)
def test_csv(prepare, refused, tmp_path, capsys, line):
    content = [HEADER, GOOD[0], line, GOOD[1]] if line.count('"') != 1 else [HEADER, *GOOD, line]
    number = content.index(line) + 1
    message = refused("table", {"t.csv": content}, *COLUMNS)
    assert f"t.csv, line {number}: {BAD_CSV[line]}" in message and "`--bad_rows skip`" in message
    prepared = prepare("table", {"t.csv": content}, *COLUMNS, "--bad_rows=skip")
    assert prepared.lines("inter")[1:] == ["a\tx\t1", "b\tx\t2"]
    ((file, at, reason, _),) = rejected(prepared)
    assert file == str(tmp_path / "raw" / "t.csv") and at == str(number)
    assert reason.startswith(BAD_CSV[line])
    assert "1 rows rejected, see toy.rejected.tsv" in capsys.readouterr().out
    assert prepared.card["rows"]["rejected"] == 1
    assert "1 rows could not be read: toy.rejected.tsv." in prepared.lines("card.md")
    assert "toy.rejected.tsv" in prepared.card["files"]


@pytest.mark.parametrize("line", BAD_JSON)
def test_json_lines(prepare, refused, line):
    good = ['{"u": "a", "i": "x", "t": 1, "title": "Lamp"}', '{"u": "b", "i": "x", "t": 2}']
    content = [good[0], line, good[1]]
    message = refused("table", {"t.jsonl": content}, *COLUMNS)
    assert "t.jsonl, line 2: " in message and BAD_JSON[line] in message
    prepared = prepare("table", {"t.jsonl": content}, *COLUMNS, "--bad_rows=skip")
    assert prepared.lines("inter")[1:] == ["a\tx\t1", "b\tx\t2"]
    ((_, at, reason, row),) = rejected(prepared)
    assert at == "2" and BAD_JSON[line] in reason and len(row) <= LONGEST


def test_python_literals(prepare):
    review = "{'reviewerID': 'a', 'asin': 'x', 'unixReviewTime': %s}"
    lines = [review % 1, review % "f(", review % "__import__('os')", "{[]: 1}", review % "'soon'"]
    prepared = prepare("amazon2014", {"reviews_X_5.json": lines}, "--bad_rows=skip")
    assert [row[1] for row in rejected(prepared)] == ["2", "3", "4", "5"]


def test_parquet(prepare, tmp_path):
    path = tmp_path / "made.parquet"
    duckdb.sql(
        "COPY (FROM (VALUES ('a', 'x', '1', 'Lamp'), ('b', 'x', 'soon', 'Lamp')) AS t(u, i, t, "
        f"title)) TO '{path}'"
    )
    prepared = prepare("table", {"t.parquet": path.read_bytes()}, *COLUMNS, "--bad_rows=skip")
    assert [row[1] for row in rejected(prepared)] == ["2"]


def test_another_encoding(prepare):
    content = f"{HEADER}\na,x,1,Lamp\nb,y,2,L\xe4mp\nc,x,3,Lamp\n".encode("latin-1")
    prepared = prepare("table", {"t.csv": content}, *COLUMNS, "--bad_rows=skip")
    assert prepared.card["users"] == 2
    assert rejected(prepared)[0][1:] == ["3", "byte 0xe4 is not utf-8", "b,y,2,Lämp"]


def test_items_of_their_own_are_rejected_as_well(prepare, tmp_path):
    (tmp_path / "items.csv").write_text("i,title\nx,Lamp\ny,Chair,more\n")
    items = ("--items", str(tmp_path / "items.csv"), "--bad_rows=skip")
    prepared = prepare("table", {"t.csv": [HEADER, *GOOD]}, *COLUMNS, *items)
    assert [row[:2] for row in rejected(prepared)] == [[str(tmp_path / "items.csv"), "3"]]


def test_a_row_that_is_read_twice_is_listed_once(prepare):
    """MIND's behaviors are read for histories, for interactions and for impressions."""
    news = "\t".join(["N1", "c", "s", "Title", "", "", "", ""])
    day = "11/1%d/2019 9:00:00 AM"
    rows = [f"{n}\tU1\t{day % n}\tN1\tN1-1 N1-0" for n in range(1, 5)]
    rows.insert(2, f"9\tU1\t{day % 1}\tN1\tN1-yes")
    prepared = prepare(
        "mind", {"behaviors.tsv": rows, "news.tsv": [news]}, "--duplicates=keep", "--bad_rows=skip"
    )
    assert [row[1:3] for row in rejected(prepared)] == [
        ["3", "the impression 'N1-yes' is not NEWS-0 or NEWS-1"]
    ]


@pytest.mark.parametrize("header", [b'u,i,"t"x,title', b"u,i,t\xff,title"])
def test_a_header_is_no_row_that_may_be_left_out(refused, header):
    """Else the first row would be taken for the header."""
    content = header + b"\na,x,1,Lamp\n"
    message = refused("table", {"t.csv": content}, *COLUMNS, "--bad_rows=skip")
    assert "header" in message and "t.csv" in message


def test_nothing_but_bad_rows(refused):
    message = refused("table", {"t.csv": [HEADER, "a,x,soon,"]}, *COLUMNS, "--bad_rows=skip")
    assert "holds no interactions: all rows were rejected" in message and "line 2" in message


def test_cells_are_no_formulas(prepare):
    lines = [HEADER, *GOOD, '"=HYPERLINK(""http://x"")",x,1,a,b', "@sum,x,1", "-2,x,soon,"]
    prepared = prepare("table", {"t.csv": lines}, *COLUMNS, "--bad_rows=skip")
    cells = [cell for row in rejected(prepared) for cell in row]
    assert not [cell for cell in cells if cell[:1] in "=@+-" and cell]
    assert any("HYPERLINK" in cell for cell in cells)


def test_no_file_without_bad_rows(prepare):
    prepared = prepare("table", {"t.csv": [HEADER, *GOOD]}, *COLUMNS, "--bad_rows=skip")
    assert not (prepared.folder / "toy.rejected.tsv").exists()
