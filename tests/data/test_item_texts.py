"""Item texts are read character by character, whatever RecBole's own parser would do to them."""

from __future__ import annotations

import json

import pytest

from recbole_store.data.item_texts import join_fields, read_item_texts
from recbole_store.errors import ItemTextError

RAW_IDS = ["[PAD]", "1", "2", "3"]


def write_items(folder, *lines, newline="\n", encoding="utf-8"):
    text = newline.join(["item_id:token\ttitle:token_seq\tyear:token", *lines]) + newline
    (folder / "toy.item").write_bytes(text.encode(encoding))


def write_jsonl(folder, *rows):
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    (folder / "toy.text.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def titles(folder, **options):
    """The title of items 1 to 3, "" where there is none."""
    texts = read_item_texts(folder, "toy", RAW_IDS, templates={"title": "{}"}, **options)
    assert len(texts) == len(RAW_IDS)
    assert texts[0] == [], "padding has no text"
    return [join_fields(fields) for fields in texts[1:]]


def test_pieces_of_several_columns(tmp_path):
    write_items(tmp_path, "2\tAlien\t1979", "1\tHeat\t1995", "3\tSolaris\t")
    texts = read_item_texts(tmp_path, "toy", RAW_IDS, templates={"title": "{}", "year": "({})"})
    assert texts == [[], ["Heat", "(1995)"], ["Alien", "(1979)"], ["Solaris"]]
    assert join_fields(texts[2]) == "Alien (1979)"


def test_without_pieces_every_column_but_the_id_is_named(tmp_path):
    write_items(tmp_path, "1\tHeat\t1995", "2\tAlien\t", "3\t\t")
    texts = read_item_texts(tmp_path, "toy", RAW_IDS)
    assert texts == [[], ["title: Heat", "year: 1995"], ["title: Alien"], []]


@pytest.mark.parametrize(
    "title",
    [
        '"Quoted" and on',
        '"',
        "'Til There Was You",
        "two  spaces   and four    more",
        "NA",
        "None",
        "null",
        "nan",
        "1e5",
        "007",
        "#hash, comma; semicolon",
        "emoji \N{FACE WITH TEARS OF JOY} \N{FAMILY}\N{ZERO WIDTH JOINER}",
        "\N{HEBREW LETTER SHIN}\N{HEBREW LETTER LAMED} right \N{ARABIC LETTER ALEF} left",
        "a carriage\rreturn inside",
        "line\N{LINE SEPARATOR}and paragraph\N{PARAGRAPH SEPARATOR}separators",
        "{title} {0} {}",
        r"back\slash \t not a tab",
        "x" * 20_000,
    ],
)
@pytest.mark.parametrize("kind", ["item", "jsonl"])
def test_every_character_is_kept(tmp_path, title, kind):
    if kind == "item":
        write_items(tmp_path, "1\tHeat\t1995", f"2\t{title}\t1979", "3\tSolaris\t1972")
    else:
        write_jsonl(
            tmp_path,
            *({"item_id": n + 1, "title": t} for n, t in enumerate(("Heat", title, "Solaris"))),
        )
    assert titles(tmp_path) == ["Heat", title, "Solaris"]


def test_windows_line_ends(tmp_path):
    write_items(tmp_path, "1\tHeat\t1995", "2\tAlien\t1979", "3\tSolaris\t1972", newline="\r\n")
    texts = read_item_texts(tmp_path, "toy", RAW_IDS, templates={"year": "{}"})
    assert texts == [[], ["1995"], ["1979"], ["1972"]]


def test_items_without_text(tmp_path):
    """No row, empty columns, columns of spaces; and a row of an item nobody interacted with."""
    write_items(tmp_path, "1\t\t1995", "99\tUnseen\t2000", "3\tSolaris\t")
    assert titles(tmp_path) == ["", "", "Solaris"]
    write_items(tmp_path, "1\t   \t1995", "2\t \t", "3\t Solaris \t")
    assert titles(tmp_path) == ["", "", "Solaris"]


@pytest.mark.parametrize("empty", [{"title": None}, {"title": ""}, {"title": []}, {"year": "1979"}])
def test_jsonl_without_text(tmp_path, empty):
    write_jsonl(tmp_path, {"item_id": "1", **empty}, "", {"item_id": "3", "title": "Solaris"})
    assert titles(tmp_path) == ["", "", "Solaris"]


def test_jsonl_values_become_text(tmp_path):
    """Numbers as ids match RecBole's text ids; lists are joined with commas."""
    write_jsonl(
        tmp_path,
        {"item_id": 1, "title": ["Heat", "Action"]},
        {"item_id": "2", "title": 1984},
    )
    assert titles(tmp_path) == ["Heat, Action", "1984", ""]


def test_nan_and_whole_numbers_of_jsonl(tmp_path):
    """As pandas writes them."""
    write_jsonl(tmp_path, '{"item_id": 1.0, "title": NaN}', '{"item_id": 2.0, "title": 1984.0}')
    assert titles(tmp_path) == ["", "1984", ""]


def test_half_a_character_of_jsonl(tmp_path):
    """JSON can hold a lone surrogate, which no tokenizer takes."""
    write_jsonl(tmp_path, r'{"item_id": "1", "title": "half \ud83d of it", "n\ud800": "x"}')
    assert titles(tmp_path) == ["half \N{REPLACEMENT CHARACTER} of it", "", ""]
    for fields in read_item_texts(tmp_path, "toy", RAW_IDS):
        join_fields(fields).encode()


def test_jsonl_is_preferred(tmp_path):
    write_items(tmp_path, "1\tfrom item\t1995")
    write_jsonl(tmp_path, {"item_id": "1", "title": "from jsonl"})
    assert titles(tmp_path)[0] == "from jsonl"


def test_separator_encoding_and_id_column(tmp_path):
    text = "product:token;title:token_seq\n1;Caf\N{LATIN SMALL LETTER E WITH ACUTE}, tab\there\n"
    (tmp_path / "toy.item").write_bytes(text.encode("latin-1"))
    options = {"separator": ";", "encoding": "latin-1", "id_column": "product"}
    assert titles(tmp_path, **options)[0] == "Caf\N{LATIN SMALL LETTER E WITH ACUTE}, tab\there"


# What is wrong -> words that the message must hold.
BAD_FILES = {
    "no file": ((), (), ["toy.text.jsonl", "toy.item"]),
    "a field too few": (("1\tHeat\t1995", "2\tAlien"), (), ["toy.item, line 3", "2", "3"]),
    "a field too many": (("1\tHeat\t1995\t!",), (), ["toy.item, line 2", "4", "3"]),
    "not JSON": ((), ({"item_id": 1, "title": "x"}, "{nope"), ["toy.text.jsonl, line 2"]),
    "JSON, no object": ((), ("[1, 2]",), ["toy.text.jsonl, line 1", "item_id"]),
    "no id": ((), ({"title": "x"},), ["toy.text.jsonl, line 1", "item_id"]),
    "too deep": ((), ("[" * 100_000,), ["toy.text.jsonl, line 1", "item_id"]),
    "too many digits": ((), ('{"item_id": ' + "9" * 5000 + "}",), ["toy.text.jsonl, line 1"]),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_files_are_named(tmp_path, case):
    lines, rows, words = BAD_FILES[case]
    if lines:
        write_items(tmp_path, *lines)
    if rows:
        write_jsonl(tmp_path, *rows)
    with pytest.raises(ItemTextError) as error:
        titles(tmp_path)
    message = str(error.value)
    assert all(word in message for word in words), message
    assert "\n" not in message


def test_wrong_column_names_those_there_are(tmp_path):
    write_items(tmp_path, "1\tHeat\t1995")
    with pytest.raises(ItemTextError, match=r"names tittle, .*toy\.item.* title, year\."):
        read_item_texts(tmp_path, "toy", RAW_IDS, templates={"tittle": "{}", "year": "{}"})


def test_no_id_column(tmp_path):
    write_items(tmp_path, "1\tHeat\t1995")
    with pytest.raises(ItemTextError, match=r"toy\.item has no column `product`"):
        titles(tmp_path, id_column="product")


def test_no_pieces_at_all(tmp_path):
    write_items(tmp_path, "1\tHeat\t1995")
    with pytest.raises(ItemTextError, match="no column"):
        read_item_texts(tmp_path, "toy", RAW_IDS, templates={})


def test_another_encoding_is_an_error_with_a_remedy(tmp_path):
    """MovieLens ships its titles in latin-1."""
    write_items(
        tmp_path, "1\tLes Mis\N{LATIN SMALL LETTER E WITH ACUTE}rables\t1995", encoding="latin-1"
    )
    with pytest.raises(ItemTextError, match=r"toy\.item.*encoding"):
        titles(tmp_path)
