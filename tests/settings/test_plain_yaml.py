"""What YAML may say, and what would hang, break a file or run code is refused."""

from __future__ import annotations

import pytest

from recbole_store.settings.plain_yaml import DEEPEST, MOST, read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("2026-01-01", "2026-01-01"),
        ("{a: &x [1, 2], b: *x}", {"a": [1, 2], "b": [1, 2]}),
        ('"\\t"', "\t"),
        ("", None),
        ("[" * DEEPEST + "]" * DEEPEST, None),
    ],
)
def test_what_it_says(text, value):
    assert value is None or read_yaml(text) == value


def bomb(levels: int) -> str:
    """A few lines of 9 ** levels values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    for level in range(1, levels):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (bomb(19), f"more than {MOST:,} values"),
        ("&a [*a]", "holds itself"),
        ("&a [*a, *a, *a, *a, *a, *a, *a]", "holds itself"),
        ("&a {b: {c: *a}}", "holds itself"),
        ("[" * 5000, "deep"),
        ("[" * 5000 + "]" * 5000, "deep"),
        ("{a: " * 50 + "1" + "}" * 50, f"more than {DEEPEST} deep"),
        ("[1", "not valid YAML, line 1"),
        ("a: 1\nb: [", "line 2"),
        ("{[1]: 2}", "not valid YAML"),
        ("9" * 5000, "digits"),
        ("!!python/object/apply:os.getpid []", "not valid YAML"),
        ("!!binary aGVsbG8=", "a bytes, which no setting can be"),
        ("!!set {a, b}", "a set"),
        ("!!timestamp 2026-01-01", "a date"),
        ("!!int many", "not valid YAML"),
        ("!!float ~", "not valid YAML"),
        ('"\\ud800"', "no file can hold"),
        ('{"a\\0b": 1}', "no file can hold"),
    ],
)
def test_what_no_setting_can_be(text, says):
    with pytest.raises(ValueError) as error:
        read_yaml(text)
    assert says in str(error.value)
