"""What survives: texts as they are meant, ids that stay different, features RecBole can read."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas._libs.parsers import STR_NA_VALUES

from recbole_store.data.prepare.atomic_text import (
    READ_AS_NOTHING,
    clean_text,
    clean_value,
    feature,
    safe_id,
)
from recbole_store.errors import BadValue

ANY_TEXT = st.text(st.characters())  # lone surrogates included


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("Salt &amp; Pepper", "Salt & Pepper"),
        ("twice &amp;quot;escaped&amp;quot;", 'twice "escaped"'),
        ("AT&T &copy not an entity", "AT&T &copy not an entity"),
        ("&#8364;5 &#x1F600;", "€5 \N{GRINNING FACE}"),
        ("line\r\nline\n\nline\ttab\x00nul", "line line line tab nul"),
        ("  ends  ", "ends"),
        ("two  spaces   three", "two  spaces   three"),
        ('"Quoted" first', '"Quoted" first'),
        ("None", "None"),
        ("NA", "NA"),
        (
            "\u05e9\u05dc\u05d5\u05dd \u200f\u202bRTL\u202c",
            "\u05e9\u05dc\u05d5\u05dd \u200f\u202bRTL\u202c",
        ),
        ("\N{FAMILY}\N{ZERO WIDTH JOINER}\N{GIRL}", "\N{FAMILY}\N{ZERO WIDTH JOINER}\N{GIRL}"),
        ("half a pair \ud83d", "half a pair \N{REPLACEMENT CHARACTER}"),
        ("\x7f\x85 ", ""),
        ("<p>A <b>new</b>\nlamp</p>\n<p>&lt; 5 W</p>", "A new lamp < 5 W"),
        ("one<br/>two<BR>three", "one two three"),
        ("&lt;p&gt;escaped&lt;/p&gt;", "escaped"),
        ("&amp;lt;i&amp;gt;twice&amp;lt;/i&amp;gt;", "twice"),
        ('<a href="x" class=y>link</a>s', "links"),
        ("<!-- a note <b>x</b> --><!DOCTYPE html>shown", "shown"),
        ("<style>p { color: red }</style><script src=x>f(1)</script>shown", "shown"),
        ("I <3 you, a < b > c, List<int>, <unknown>", "I <3 you, a < b > c, List<int>, <unknown>"),
        ("<ul><li>one</li>\n<li>two</li></ul>", "one two"),
        ("<p never closed", "<p never closed"),
        ("&#99999999999; &#" + "9" * 5000 + ";", "&#99999999999; &#" + "9" * 5000 + ";"),
        ("&" + "amp;" * 50 + "lt;", "<"),
    ],
)
def test_clean_text(raw, clean):
    assert clean_text(raw) == clean


FIELDS = st.sampled_from(
    ["<", ">", "&", "amp;", "lt;", "gt;", "<b>", "</b>", "<p>", "<br/>", "<!--", "-->", "#60;", " "]
)


@given(ANY_TEXT | st.lists(FIELDS | ANY_TEXT, max_size=12).map("".join))
def test_cleaning_twice_changes_nothing(text):
    once = clean_text(text)
    assert clean_text(once) == once == once.strip()
    once.encode()


@pytest.mark.parametrize(
    "piece",
    ["&amp;", "amp;", "&#38;", "<b", "<b ", "<!--", "<", "<p>", " ", "<script>", "&#9", "]"],
)
def test_a_megabyte_of_anything_is_read_at_once(piece):
    """A pattern that starts anew at every character would take hours."""
    clean_text("<i>&lt;" + piece * (2**20 // len(piece)) + "&gt;</i>")


def test_clean_value():
    assert clean_value(["a&lt;b", None, " ", ["c", 5]]) == ["a<b", "c", "5"]
    values = (None, 1984, 0.5, True, 7.0, float("nan"), float("inf"))
    assert [clean_value(v) for v in values] == ["", "1984", "0.5", "True", "7", "", ""]
    assert clean_value([float("nan"), "x"]) == ["x"]


@pytest.mark.parametrize(
    ("raw", "safe"),
    [
        ("B00L5JHZJO", "B00L5JHZJO"),
        (42, "42"),
        ("007", "007"),
        ("a b", "a%20b"),
        (" padded ", "padded"),
        ('"q"', "%22q%22"),
        ("100%", "100%25"),
        ("NA", "%4EA"),
        ("None", "%4Eone"),
        ("[PAD]", "%5BPAD]"),
        ("a\tb\r\n", "a%09b"),
        ("é\u2028", "é"),
        ("été", "été"),
        (None, ""),
        ("", ""),
        (7.0, "7"),
        (-0.0, "0"),
        (1e20, "100000000000000000000"),
        (7.5, "7.5"),
        ("7.0", "7.0"),
        (float("nan"), ""),
        (float("inf"), ""),
        ("nan", "%6Ean"),
    ],
)
def test_safe_id(raw, safe):
    assert safe_id(raw) == safe


@pytest.mark.parametrize("value", [[1], {"$oid": "5"}, (1, 2)])
def test_what_is_no_id(value):
    with pytest.raises(BadValue, match="is no id"):
        safe_id(value)


@given(ANY_TEXT, ANY_TEXT)
def test_different_ids_stay_different(one, two):
    """But for surrounding spaces."""
    assert (safe_id(one) == safe_id(two)) == (one.strip() == two.strip())


def test_words_that_are_read_as_nothing_are_those_of_pandas():
    assert READ_AS_NOTHING == STR_NA_VALUES


@pytest.mark.parametrize(
    ("value", "kind", "field"),
    [
        ('"Heat"  2', "token_seq", "'Heat' 2"),
        (["Hair Care", 'A"B'], "token_seq", "Hair_Care A'B"),
        (["Hair Care", "B"], "token", "Hair_Care,B"),
        ("Cover Girl", "token", "Cover Girl"),
        ("NA", "token", "NA_"),
        (["None"], "token_seq", "None_"),
        ("[PAD]", "token", "[PAD]_"),
        ("", "token", ""),
        ([], "token_seq", ""),
        ("$3.50", "float", "3.50"),
        ("1e-05", "float", "1e-05"),
        ("36,24 \u20ac", "float", ""),
        ("from 5", "float", ""),
        (["5"], "float", ""),
    ],
)
def test_feature(value, kind, field):
    assert feature(value, kind) == field


@given(st.lists(ANY_TEXT, min_size=1, max_size=5))
def test_features_and_ids_survive_recboles_parser(tmp_path_factory, texts):
    """Read as RecBole reads atomic files, field by field."""
    path = tmp_path_factory.mktemp("parser") / "toy.item"
    rows = [
        (safe_id(t) or "x", *(feature(clean_text(t), k) for k in ("token", "token_seq")))
        for t in texts
    ]
    lines = ["item_id:token\tbrand:token\ttitle:token_seq", *("\t".join(row) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    frame = pd.read_csv(path, delimiter="\t", dtype=str, encoding="utf-8", engine="python")
    assert frame.fillna("").values.tolist() == [list(row) for row in rows]
