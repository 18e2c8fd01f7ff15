"""Raw files are found, read in place, and their faults are named."""

from __future__ import annotations

import gzip

import pytest

from recbole_store.data.prepare.raw_files import RawFile, RawReader, Role, find_files, raw_files_in
from recbole_store.data.prepare.raw_rows import delimited_rows, json_rows, literal_rows
from recbole_store.errors import BadValue, DataError

ROLES = {"reviews": Role(("*.json.gz", "*.json")), "metadata": Role(("meta_*",), required=False)}


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "a.zip/b/a.txt", "a.zip/b/a.txt.gz"])
def test_lines_of_any_packing(write_raw, name):
    (file,) = raw_files_in(
        write_raw({name: ["one", "zwei \N{LATIN SMALL LETTER U WITH DIAERESIS}"]})
    )
    reader = RawReader()
    assert list(reader.lines(file)) == ["one\n", "zwei ü\n"]
    assert reader.place == f"{file}, line 2"
    assert file.size > 0


def test_byte_order_mark_and_last_line_without_end(write_raw):
    (file,) = raw_files_in(write_raw({"a.txt": b"\xef\xbb\xbfone\r\ntwo"}))
    assert list(RawReader().lines(file)) == ["one\r\n", "two"]


def test_progress_ends_at_the_files_size(write_raw, capsys):
    (file,) = raw_files_in(write_raw({"a.zip/a.txt": [f"line {n}" for n in range(10_000)]}))
    list(RawReader(show_progress=True).lines(file))
    assert "a.txt: 100%" in capsys.readouterr().err
    list(RawReader(show_progress=False).lines(file))
    assert capsys.readouterr().err == ""


def test_find_files(write_raw):
    root = write_raw({"x/r.json.gz": [], "x/meta_r.json.gz": [], "y.txt": []})
    found = find_files([root], ROLES)
    assert {role: file.name for role, file in found.items()} == {
        "reviews": "r.json.gz",
        "metadata": "meta_r.json.gz",
    }
    assert find_files([root / "y.txt"], ROLES) == {"reviews": RawFile(root / "y.txt")}


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], ["No reviews", "*.json.gz", "nothing"]),
        (["a.csv"], ["No reviews", "a.csv"]),
        (["a.json.gz", "b.json.gz"], ["2 files could be the reviews", "a.json.gz", "--raw"]),
    ],
)
def test_missing_and_ambiguous_files(write_raw, tmp_path, names, words):
    (tmp_path / "raw").mkdir()
    write_raw(dict.fromkeys(names, ["{}"]))
    with pytest.raises(DataError) as error:
        find_files([tmp_path / "raw"], ROLES)
    assert all(word in str(error.value) for word in words), error.value


def test_no_such_path_and_no_zip(tmp_path, write_raw):
    with pytest.raises(DataError, match="no raw files at .*nowhere"):
        raw_files_in(tmp_path / "nowhere")
    with pytest.raises(DataError, match="not a whole zip archive"):
        raw_files_in(write_raw({"a.zip": b"PK nothing"}))


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("cut.gz", gzip.compress(b"line\n" * 50_000)[:-30], "cut.gz is broken after line .*again"),
        ("no.gz", b"plain text", "no.gz is broken after line 0"),
        ("latin.txt", b"one\ntwo \xe9\n", "latin.txt, line 2: byte 0xe9 is not utf-8"),
    ],
)
def test_broken_files(tmp_path, name, data, words):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=words):
        list(RawReader().lines(RawFile(tmp_path / name)))


def test_a_damaged_archive_is_named(write_raw):
    root = write_raw({"a.zip/a.txt": [f"line {n}" for n in range(2_000)]})
    data = bytearray((root / "a.zip").read_bytes())
    data[60:70] = b"\x00" * 10
    (root / "a.zip").write_bytes(data)
    (file,) = raw_files_in(root)
    with pytest.raises(DataError, match=r"a\.zip/a\.txt is broken"):
        list(RawReader().lines(file))


def test_utf_16_is_refused(write_raw):
    (file,) = raw_files_in(write_raw({"a.txt": "a"}))
    with pytest.raises(DataError, match="utf-16 is not read; convert"):
        list(RawReader().lines(file, "utf-16"))


# Rows


def rows_of(write_raw, read, content, *options, **more):
    (file,) = raw_files_in(write_raw({"a.txt": content}))
    reader = RawReader()
    with reader.naming_faults():
        return list(read(reader, file, *options, **more))


def test_literals_are_parsed_and_never_evaluated(write_raw, tmp_path):
    lines = [
        r"""{'asin': '1', 'title': 'It\'s "so"\nnew', 'price': 3.5, 'categories': [['a', 'b']]}""",
        """{u'asin': u'2', 'title': "don't", 'early': False}""",
        '{"asin": "3", "title": null, "real JSON": true}',
        "",
    ]
    rows = rows_of(write_raw, literal_rows, lines)
    assert [row["asin"] for row in rows] == ["1", "2", "3"]
    assert rows[0]["title"] == 'It\'s "so"\nnew' and rows[1]["title"] == "don't"
    evil = f"{{'a': __import__('os').mkdir({str(tmp_path / 'x')!r})}}"
    with pytest.raises(DataError, match=r"a\.txt, line 1: neither JSON nor a Python literal"):
        rows_of(write_raw, literal_rows, [evil])
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("line", ["{nope", "[1]", "5", "{'a': 1}", '{"a": 1', "[" * 100_000])
def test_lines_that_are_no_json_object(write_raw, line):
    with pytest.raises(DataError, match=r"a\.txt, line 2: not a JSON object"):
        rows_of(write_raw, json_rows, ['{"a": 1}', line])


def test_csv(write_raw):
    text = 'id,title\r\n1,"a, ""b""\r\nand c"\r\n\r\n2,NA\r\n'
    rows = rows_of(write_raw, delimited_rows, text, ",")
    assert rows == [{"id": "1", "title": 'a, "b"\r\nand c'}, {"id": "2", "title": "NA"}]


def test_long_separators_and_plain_quotes(write_raw):
    rows = rows_of(write_raw, delimited_rows, '1::"Heat::x\n', "::", ["a", "b", "c"])
    assert rows == [{"a": "1", "b": '"Heat', "c": "x"}]
    rows = rows_of(write_raw, delimited_rows, 'a\tb\n"x\ty"\n', "\t", quotes=False)
    assert rows == [{"a": '"x', "b": 'y"'}]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1\n", "line 2: 1 fields where 2 were expected"),
        ("a,b\n1,2\n1,2,3\n", "line 3: 3 fields where 2"),
        ('a,b\n1,"x\n2,y\n', "line 3: not a CSV row .*--no_quotes"),
        ("a,a\n1,2\n", "line 1: the header names a column twice"),
        ("", "is empty"),
    ],
)
def test_bad_csv(write_raw, text, words):
    with pytest.raises((DataError, BadValue), match=words):
        rows_of(write_raw, delimited_rows, text, ",")
