"""Values of a table as files of a data set have them: what pandas wrote is read as it was meant."""

from __future__ import annotations

import re

from recbole_store.data.prepare.atomic_text import clean_value, safe_id
from recbole_store.data.prepare.raw_rows import number_text

_WHOLE = re.compile(r"(-?\d+)\.0+")
_WITH_COMMA = re.compile(r"[+-]?(?:\d{1,3}(?:\.\d{3})+|\d+),\d+")


def known(value):
    """A value of a table; None for one that pandas wrote because there was none.

    Example: known("nan") -> None; known("NA") -> "NA"
    """
    return None if value in ("nan", "NaN", "NaT") else value


def with_point(value):
    """A number with a decimal comma, as tables parted by semicolons have it, with a point.

    Example: with_point("73,87") -> "73.87"; with_point("1.234,5") -> "1234.5"; all else is kept
    """
    if isinstance(value, str) and _WITH_COMMA.fullmatch(value.strip()):
        return value.strip().replace(".", "").replace(",", ".")
    return value


def table_id(value) -> str:
    """An id of a table, as ``safe_id``; in CSV, too, numbers that are whole are integers.

    A column of integers that lacks one is a column of floats to pandas, and is written as such.

    Example: table_id("7.0") -> "7"; table_id("nan") -> ""; table_id("1.10") -> "1.10"
    """
    whole = _WHOLE.fullmatch(value.strip()) if isinstance(value, str) else None
    return safe_id(whole[1] if whole else known(value))


def inter_value(value, kind: str) -> str:
    """A further column's value in ``NAME.inter``.

    Raises:
        BadValue: a float that is no number.
    """
    value = known(value)
    if kind == "float":
        return number_text(value)
    if kind == "token_seq":
        words = value if isinstance(value, list) else clean_value(value).split()
        return " ".join(safe_id(word) for word in words)
    return safe_id(value)
