"""What the comment beside a key says: read, compared with values, and put into words."""

from __future__ import annotations

import math

import pytest

from recbole_store.errors import SettingsError
from recbole_store.settings.declared import Declared, Interval, comment_of, is_interval


@pytest.mark.parametrize(
    ("comment", "fitting", "others", "said"),
    [
        ("int", [1, -1, 0], [1.0, True, "1", None, [1]], "an integer"),
        ("float", [1, math.pi], ["1", True, None], "a number"),
        ("str", ["x", "", 0, 0.5], [True, None, ["x"]], "a text"),
        ("bool", [True, False], [0, 1, "True", None], "True or False"),
        ("list", [[], [1], (1,)], ["x", {}, None], "a list"),
        ("dict", [{}, {"a": 1}], [[], "a", None], "a mapping {key: value}"),
        ("int or null", [1, None], [1.5], "an integer, or null"),
        ("int >= 1", [1, 99], [0, 1.5, True], "an integer of at least 1"),
        ("float > 0", [0.1, 5], [0, -1, math.nan, math.inf], "a number above 0"),
        ("float in [0, 1)", [0, 0.5], [1, -0.1], "a number in [0, 1)"),
        ("float in (0, 1] or null", [1, 0.5, None], [0], "a number in (0, 1], or null"),
        ("int in [1, 16]", [1, 16], [0, 17], "an integer in [1, 16]"),
        ("one of a, b", ["a", "b"], ["c", "", None, 0], "one of a, b"),
        (
            "list of int >= 1",
            [[1, 2], []],
            [[0], [1, "x"], 1],
            "a list, each an integer of at least 1",
        ),
        (
            "int >= 1 or list of int >= 1",
            [5, [5]],
            [0, [0], "5", [5.5], True],
            "an integer of at least 1 or a list, each an integer of at least 1",
        ),
        ("list or int or None", [[], 1, None], ["x"], "a list or an integer, or null"),
        ("name", ["x", "5"], ["", " ", 5, None], "a name"),
        (
            "dict of list of name",
            [{}, {"inter": ["a"]}],
            [{"inter": 3}, {"inter": [3]}, {1: ["a"]}, []],
            "a mapping {key: a list, each a name}",
        ),
        ("float or null", [2**63 - 1, 1e300], [2**63, math.inf, math.nan], "a number, or null"),
        ("interval", ["[5,inf)", [3, 5]], [7, "5", "[20,inf", None], None),
    ],
)
def test_declared(comment, fitting, others, said):
    declared = Declared.parse(comment)
    for value in fitting:
        declared.check("key", value)
    for value in others:
        with pytest.raises(SettingsError) as error:
            declared.check("key", value, " in some.yaml")
        expected = f"`key` is {value!r} in some.yaml, but must be {declared}."
        assert str(error.value) == expected
    assert said is None or str(declared) == said


@pytest.mark.parametrize(
    "comment",
    ["", "string", "int >= ", "int ~ 1", "int in [0", "float in [1, 0]", "str > 1", "list of x"],
)
def test_comments_that_say_nothing(comment):
    with pytest.raises(ValueError):
        Declared.parse(comment)


def test_without_a_comment_anything_goes():
    for value in (None, 1, "x", [], {}):
        Declared().check("key", value)


@pytest.mark.parametrize(
    ("line", "comment"),
    [
        ("n: 2  # (int) Levels.", "int"),
        ("n: 2      # (float in [0, 1)) A share (of all).", "float in [0, 1)"),
        ("n: 2      # (float in (0, 1] or null) A share.", "float in (0, 1] or null"),
        ("n: '#'    #(str) A sign.", "str"),
        ("n: 2      # Levels (all).", None),
        ("n: 2", None),
        ("n: 2      # (int Levels.", None),
    ],
)
def test_the_comment_of_a_line(line, comment):
    assert comment_of(line) == comment


def test_what_is_typed_as_a_text_stays_one():
    texts = ("str", "str or null", "one of a, b", "interval or null")
    assert all(Declared.parse(comment).is_text for comment in texts)
    others = ("int", "list or str", "dict", "int or null")
    assert not any(Declared.parse(comment).is_text for comment in others)
    assert not Declared().is_text


@pytest.mark.parametrize(
    "text", ["[5,inf)", "(0,1]", "[ 1 , 2 ]", "[-1.5,1e3]", "[0,1];(4,5]", "[3,3]", "(-inf,inf)"]
)
def test_intervals_that_recbole_reads(text):
    assert is_interval(text)


@pytest.mark.parametrize(
    "value",
    ["7", 7, "[20,inf", "20,inf)", "[5]", "[a,b]", "[9,1]", "", "[0,1];", "[0,1],[2,3]", {}],
)
def test_what_recbole_would_not_filter_by(value):
    assert not is_interval(value)


def test_ends_of_an_interval():
    half_open = Interval.parse("[0,1)")
    assert [number in half_open for number in (-0.1, 0, 0.5, 1)] == [False, True, True, False]
    other = Interval.parse("(0,1]")
    assert [number in other for number in (0, 1, 1.1)] == [False, True, False]
