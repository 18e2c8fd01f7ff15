"""Raw files are found, read in place, and their faults are named."""

from __future__ import annotations

import gzip
import tracemalloc
import zipfile

import pytest

from recbole_store.data.prepare import raw_rows
from recbole_store.data.prepare.raw_files import RawFile, Role, find_files, raw_files_in
from recbole_store.data.prepare.raw_reader import LONGEST, RawReader
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


def test_what_systems_leave_beside_files_is_passed_over(write_raw):
    junk = ["__MACOSX/._a.csv", ".DS_Store", "in/.DS_Store", "in/Thumbs.db", ".git/x.csv"]
    root = write_raw({f"z.zip/{name}": "x" for name in ["in/a.csv", *junk]})
    assert [raw.name for raw in raw_files_in(root / "z.zip")] == ["a.csv"]
    root = write_raw({f"folder/{name}": "x" for name in ["b.csv", *junk]})
    assert [raw.name for raw in raw_files_in(root / "folder")] == ["b.csv"]
    assert raw_files_in(root / "folder" / ".DS_Store"), "unless it is named itself"


def changed_zip(root, change) -> RawFile:
    """An archive of one file whose headers, local and central, are changed in place."""
    path = root / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", "u,i,t\n" * 200)
    content = bytearray(path.read_bytes())
    change(content, content.index(b"PK\x03\x04"), content.index(b"PK\x01\x02"))
    path.write_bytes(content)
    (file,) = raw_files_in(path)
    return file


def encrypted(content, local, central):
    content[local + 6] |= 1
    content[central + 8] |= 1


def method(number):
    def change(content, local, central):
        content[local + 8] = content[central + 10] = number

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (encrypted, "a.zip/a.csv cannot be read from its archive .*encrypted.*; unpack it"),
        (method(99), "cannot be read from its archive .*compression.*; unpack it"),
        (method(9), "cannot be read from its archive .*; unpack it"),
        (method(8), "is broken after line 0"),
        (method(14), "a.csv (is broken|cannot be read)"),
        (method(12), "a.csv (is broken|cannot be read)|Cannot read"),
    ],
)
def test_encrypted_and_unusual_archives(tmp_path, change, words):
    file = changed_zip(tmp_path, change)
    with pytest.raises(DataError, match=words) as error:
        list(RawReader().lines(file))
    assert "\n" not in str(error.value)


def test_a_line_without_end_does_not_fill_the_memory(tmp_path):
    """A few MB of gzip may be one line of gigabytes."""
    path = tmp_path / "long.csv.gz"
    with gzip.open(path, "wb", compresslevel=1) as stream:
        for _ in range(3):
            stream.write(b"x" * (LONGEST // 2))
    tracemalloc.start()
    with pytest.raises(DataError, match=r"long\.csv\.gz, line 1 is longer than 64 MB"):
        list(RawReader().lines(RawFile(path)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * LONGEST


def test_a_quote_that_is_never_closed_does_not_fill_the_memory(write_raw, monkeypatch):
    monkeypatch.setattr(raw_rows, "LONGEST", 1000)
    with pytest.raises(DataError, match="not a CSV row .*limit.*--no_quotes"):
        rows_of(write_raw, delimited_rows, ["u,i", 'a,"b', *("x" * 50 for _ in range(100))], ",")


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
        ("a,a\n1,2\n", "line 1: the header names the column `a` twice"),
        ("", "is empty"),
    ],
)
def test_bad_csv(write_raw, text, words):
    with pytest.raises((DataError, BadValue), match=words):
        rows_of(write_raw, delimited_rows, text, ",")
