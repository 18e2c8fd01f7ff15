"""Times keep every digit and order as they should."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_store.data.prepare.times import (
    as_date,
    as_number,
    from_any,
    from_epoch,
    from_format,
    from_iso,
)
from recbole_store.errors import BadValue


@pytest.mark.parametrize(
    ("value", "unit", "number"),
    [
        (1406073600, "s", "1406073600"),
        ("1406073600", "s", "1406073600"),
        (1588615855070, "ms", "1588615855.07"),
        ("1588615855070", "ms", "1588615855.07"),
        (1588615855070001, "us", "1588615855.070001"),
        (1588615855070000001, "ns", "1588615855.070000001"),
        (0.1, "s", "0.1"),
        (1e-9, "s", "0.000000001"),
        ("0.123456789012345678", "s", "0.123456789012345678"),
        ("1e9", "s", "1000000000"),
        (" 7 ", "s", "7"),
        (-1.5, "s", "-1.5"),
        ("-0.5", "s", "-0.5"),
        (-1, "ms", "-0.001"),
        (0, "s", "0"),
        (9_007_199_254_740_993, "s", "9007199254740993"),  # no float
    ],
)
def test_epochs(value, unit, number):
    assert as_number(from_epoch(value, unit)) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1970-01-01", "0"),
        ("1970-01-01 00:01", "60"),
        ("1970-01-01T00:01:00Z", "60"),
        ("1970-01-01T00:01:00+00:01", "0"),
        ("1970-01-01T00:01:00-0100", "3660"),
        ("1970-01-01 01:00:00+01", "0"),
        ("1970-01-01 00:00:00.123456789", "0.123456789"),
        ("1969-12-31 23:59:59.5", "-0.5"),
        ("2018-07-07 22:09:11", "1531001351"),
        ("2016-02-29", "1456704000"),
    ],
)
def test_iso(text, number):
    assert as_number(from_iso(text)) == as_number(from_any(text)) == number


def test_format():
    assert from_format("11/11/2019 9:05:58 AM", "%m/%d/%Y %I:%M:%S %p") == (1573463158, 0)
    pattern = "%a %b %d %H:%M:%S %z %Y"
    assert from_format("Thu Jan 01 00:00:00 -0800 1970", pattern) == (8 * 3600, 0)


@pytest.mark.parametrize(
    "value",
    ["soon", "nano", "inf", "2015-13-01", "2015-02-30", "1e99", "2" * 30, "1e-19", "1e-99", "--"],
)
def test_no_times(value):
    with pytest.raises(BadValue, match="time"):
        from_any(value)


@pytest.mark.parametrize("value", [None, "", " ", float("nan"), "nan", "NaN", "NaT", "None"])
def test_missing_times(value):
    assert from_any(value) is from_epoch(value, "ms") is from_iso(value) is None
    assert from_format(value, "%Y") is None


def test_dates():
    assert as_date((1406073600, 1)) == "2014-07-23 00:00:00"
    assert as_date((10**15, 0)) is None


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e15, max_value=1e15))
def test_floats_are_exact(value):
    """What is written reads as the very same float, or is refused."""
    try:
        time = from_epoch(value)
    except BadValue as error:
        assert "decimals" in str(error)
    else:
        assert float(as_number(time)) == value


@given(st.integers(-(10**22), 10**22), st.integers(-(10**22), 10**22))
def test_order(first, second):
    """Pairs order as the numbers do, negative ones too."""
    times = [from_any(f"{n // 10**6}.{n % 10**6:06d}") for n in (first, second) if n >= 0]
    numbers = [n for n in (first, second) if n >= 0]
    assert (sorted(times) == times) == (sorted(numbers) == numbers)
    one, two = from_epoch(first // 10**9, "us"), from_epoch(second // 10**9, "us")
    assert (one < two) == (Fraction(first // 10**9) < Fraction(second // 10**9))
