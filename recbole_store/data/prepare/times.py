"""Times at full precision: whole seconds and an integer fraction, never a float.

A time is ``(seconds, fraction)``: seconds since 1970 (UTC) and units of 1e-18 s above them, so
epoch numbers, floats and ISO dates are held exactly. Times order as these pairs do. A missing
value (None, NaN, an empty text) is no time: None.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from recbole_store.errors import BadValue

DECIMALS = 18
UNIT = 10**DECIMALS
# How far the decimal point moves to the left: milliseconds are seconds with three decimals.
EPOCH_UNITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}

_SECONDS_MAX = 2**63 - 1
_ISO = re.compile(
    r"(\d{4}-\d\d?-\d\d?)(?:[T ](\d\d?:\d\d(?::\d\d)?)(?:[.,](\d+))?)?\s*(Z|[+-]\d\d(?::?\d\d)?)?"
)

Time = tuple[int, int]


def from_epoch(value: int | float | str | None, unit: str = "s") -> Time | None:
    """A number of seconds, milliseconds, ... since 1970, or any other number that orders rows.

    Example: from_epoch("1588615855070", "ms") -> (1588615855, 70000000000000000)

    Raises:
        BadValue: not a finite number, or more than 18 decimals.
    """
    if _is_missing(value):
        return None
    shift = EPOCH_UNITS[unit]
    try:
        if shift == 0 and not isinstance(value, float):
            return _checked((int(value), 0))
    except (ValueError, TypeError):
        pass  # not whole, which Decimal reads, or a list
    try:
        number = Decimal(repr(value) if isinstance(value, float) else str(value).strip())
        if not number.is_finite():
            raise InvalidOperation
    except InvalidOperation as error:
        raise BadValue(f"the time {value!r} is not a number") from error
    if abs(number.adjusted()) > 40:  # 10**exponent would not end
        too = "large" if number.adjusted() > 0 else "small: it has more than 18 decimals"
        raise BadValue(f"the time {value!r} is too {too}")
    # Through the digits, since Decimal's own arithmetic would round to 28 of them.
    sign, digits, exponent = number.as_tuple()
    scaled, exponent = int("".join(map(str, digits))), exponent + DECIMALS - shift
    scaled, rest = (scaled * 10**exponent, 0) if exponent >= 0 else divmod(scaled, 10**-exponent)
    if rest:
        raise BadValue(f"the time {value!r} has more than {DECIMALS} decimals")
    return _checked(divmod(-scaled if sign else scaled, UNIT))


def from_iso(value: str | None) -> Time | None:
    """An ISO 8601 date with or without time, fraction and offset; UTC where none is given.

    Example: from_iso("1970-01-01 00:01:00.5") -> (60, 500000000000000000)
    """
    if _is_missing(value):
        return None
    match = _ISO.fullmatch(str(value).strip())
    if not match:
        raise BadValue(f"the time {value!r} is not an ISO date such as 2014-07-23 10:30:00")
    date, clock, fraction, offset = match.groups()
    if len(fraction or "") > DECIMALS:
        raise BadValue(f"the time {value!r} has more than {DECIMALS} decimals")
    zone = "+0000" if offset in (None, "Z") else (offset.replace(":", "") + "00")[:5]
    clock = clock or "00:00"
    clock += ":00" if clock.count(":") == 1 else ""
    seconds, _ = from_format(f"{date} {clock} {zone}", "%Y-%m-%d %H:%M:%S %z", shown=value)
    return seconds, int((fraction or "").ljust(DECIMALS, "0"))


def from_format(value: str | None, pattern: str, shown: str | None = None) -> Time | None:
    """A date in a pattern of ``strptime``, UTC where the pattern has no ``%z``."""
    if _is_missing(value):
        return None
    try:
        moment = datetime.strptime(str(value).strip(), pattern)
    except ValueError as error:
        raise BadValue(
            f"the time {shown or value!r} does not fit the pattern {pattern}"
            if shown is None
            else f"the time {shown!r} is no date of the calendar"
        ) from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return delta.days * 86_400 + delta.seconds, delta.microseconds * 10 ** (DECIMALS - 6)


def from_any(value: int | float | str | None, unit: str = "s", hint: str = "") -> Time | None:
    """A number as :func:`from_epoch` reads it, anything else as :func:`from_iso` does.

    Args:
        hint: what the source can do about times of other kinds.
    """
    if unit == "s" and isinstance(value, str) and value.isdecimal() and len(value) < 19:
        return int(value), 0  # nearly every row of most tables: the short way
    if isinstance(value, str) and "-" in value.strip()[1:] and _ISO.fullmatch(value.strip()):
        return from_iso(value)
    try:
        return from_epoch(value, unit)
    except BadValue as error:
        if " too " in str(error) or "decimals" in str(error):
            raise
        raise BadValue(
            f"the time {value!r} is neither a number nor an ISO date such as 2014-07-23 10:30:00"
            f"{hint}"
        ) from error


def as_number(time: Time) -> str:
    """The time as an exact decimal number of seconds: (60, 5 * 10**17) -> "60.5"."""
    seconds, fraction = time
    if not fraction:
        return str(seconds)
    whole, part = divmod(abs(seconds * UNIT + fraction), UNIT)
    return f"{'-' if seconds < 0 else ''}{whole}.{part:018d}".rstrip("0")


def as_date(time: Time) -> str | None:
    """ISO date and time in UTC, to the second; None for numbers that are no date."""
    try:
        return datetime.fromtimestamp(time[0], UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return None


_NO_TIMES = ("", "NaN", "nan", "NaT", "None", "null")


def _is_missing(value) -> bool:
    if isinstance(value, str):
        return value.strip() in _NO_TIMES
    return value is None or value != value  # NaN is the number that is not itself


def _checked(time: Time) -> Time:
    if abs(time[0]) > _SECONDS_MAX:
        raise BadValue(f"the time {time[0]} is too large")
    return time
