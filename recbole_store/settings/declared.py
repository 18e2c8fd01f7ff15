"""What a key may hold, as the comment beside it in its property file says.

``# (int >= 1 or null) Meaning.`` is all there is: it is read once, checks values, and says in words
what was expected. The words between the brackets are::

    int, float, str, bool, list, dict    a type; a float may be whole
    int >= 1, float > 0, float in [0, 1) a number within bounds
    one of lora, full, frozen            a word of several
    interval                             a text such as [5,inf), or several with semicolons
    name                                 a text of at least one character
    list of int >= 1, dict of str        entries of one form; the keys of a dict are texts
    null                                 nothing

and several of them with "or" between: each of them is a *form* here.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import NamedTuple

from recbole_store.errors import SettingsError

_TYPES = {
    "int": int,
    "float": (int, float),
    "str": (str, int, float),  # RecBole's own string keys (gpu_id: 0) are often typed as numbers
    "name": str,
    "bool": bool,
    "list": (list, tuple),
    "dict": dict,
    "interval": (str, list, tuple),  # YAML reads [3,5] without quotes as a list
}
_WORDS = {
    "int": "an integer",
    "float": "a number",
    "str": "a text",
    "name": "a name",
    "bool": "True or False",
    "list": "a list",
    "dict": "a mapping {key: value}",
    "interval": 'an interval such as "[5,inf)"',
}
_LARGEST = 2**63 - 1  # that torch and NumPy take
_TEXTS = ("str", "name", "interval")
_NULL = ("null", "none")


class Interval(NamedTuple):
    """Numbers between two ends, each of which belongs to it or does not.

    Example: ``[0, 1)`` holds 0 and 0.5, but not 1.
    """

    low: float
    high: float
    with_low: bool
    with_high: bool

    @classmethod
    def parse(cls, text: str) -> Interval:
        """Read ``[A,B]``, ``[A,B)``, ``(A,B]`` or ``(A,B)``.

        Raises:
            ValueError: it is none of these, or A is above B.
        """
        found = re.fullmatch(r"\s*([\[(])([^,\[\]()]+),([^,\[\]()]+)([\])])\s*", text)
        if not found:
            raise ValueError(f"{text!r} is no interval")
        low, high = float(found[2]), float(found[3])
        if not low <= high:
            raise ValueError(f"{text!r} holds nothing")
        return cls(low, high, found[1] == "[", found[4] == "]")

    def __contains__(self, number) -> bool:
        above = number >= self.low if self.with_low else number > self.low
        return above and (number <= self.high if self.with_high else number < self.high)

    def __str__(self) -> str:
        """Example: "of at least 1", "above 0", "in [0, 1)" """
        if self.high == math.inf:
            return f"of at least {self.low:g}" if self.with_low else f"above {self.low:g}"
        ends = "[" if self.with_low else "(", "]" if self.with_high else ")"
        return f"in {ends[0]}{self.low:.10g}, {self.high:.10g}{ends[1]}"


@dataclass(frozen=True)
class Form:
    """One form of a value: a type, perhaps with bounds, words to choose from, or entries."""

    type: str
    bounds: Interval | None = None
    choices: tuple[str, ...] = ()
    entries: Form | None = None

    @classmethod
    def parse(cls, text: str) -> Form:
        """Read one alternative of a comment.

        Raises:
            ValueError: it is not understood.
        """
        text = text.strip()
        if text.startswith("one of "):
            words = tuple(word.strip() for word in text.removeprefix("one of ").split(","))
            return cls("str", choices=words)
        name, _, rest = text.partition(" ")
        if name not in _TYPES:
            raise ValueError(f"{text!r} is no type")
        if not rest:
            return cls(name)
        if name in ("list", "dict") and rest.startswith("of "):
            return cls(name, entries=cls.parse(rest.removeprefix("of ")))
        if name not in ("int", "float"):
            raise ValueError(f"{name} has no bounds")
        operator, _, number = rest.partition(" ")
        if operator == "in":
            return cls(name, Interval.parse(number))
        if operator not in (">=", ">"):
            raise ValueError(f"{rest!r} are no bounds")
        return cls(name, Interval(float(number), math.inf, operator == ">=", False))

    def fits(self, value) -> bool:
        is_bool = isinstance(value, bool)
        if not isinstance(value, _TYPES[self.type]) or is_bool != (self.type == "bool"):
            return False
        if isinstance(value, (int, float)) and not abs(value) < math.inf:
            return False
        if isinstance(value, int) and abs(value) > _LARGEST:
            return False
        if self.type == "interval":
            return is_interval(value)
        if self.bounds is not None:
            return value in self.bounds
        if self.choices:
            return value in self.choices
        if self.entries is not None:
            if self.type == "dict" and not all(isinstance(key, str) for key in value):
                return False
            entries = value.values() if self.type == "dict" else value
            return all(self.entries.fits(entry) for entry in entries)
        if self.type == "name":
            return str(value).strip() != ""
        return True

    def __str__(self) -> str:
        """Example: "an integer of at least 1", "one of lora, full, frozen" """
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if self.entries is not None and self.type == "dict":
            return f"a mapping {{key: {self.entries}}}"
        if self.entries is not None:
            return f"{_WORDS[self.type]}, each {self.entries}"
        return f"{_WORDS[self.type]} {self.bounds}" if self.bounds else _WORDS[self.type]


@dataclass(frozen=True)
class Declared:
    """All forms that a key's value may have; without any, it may be anything."""

    forms: tuple[Form, ...] = ()
    allows_null: bool = True

    @classmethod
    def parse(cls, text: str) -> Declared:
        """Read what stands between the brackets of a comment.

        Raises:
            ValueError: it is not understood.
        """
        parts = [part.strip() for part in text.split(" or ")]
        allows_null = any(part.lower() in _NULL for part in parts)
        forms = tuple(Form.parse(part) for part in parts if part.lower() not in _NULL)
        if not forms:
            raise ValueError(f"{text!r} allows no value")
        return cls(forms, allows_null)

    @property
    def is_text(self) -> bool:
        """Whether what is typed is a text as it stands: the interval ``[5,inf)`` is no list."""
        return bool(self.forms) and all(form.type in _TEXTS for form in self.forms)

    def fits(self, value) -> bool:
        if value is None:
            return self.allows_null
        return not self.forms or any(form.fits(value) for form in self.forms)

    def check(self, key: str, value, place: str = "") -> None:
        """Compare a value with what the key may hold.

        Args:
            place: where the value stands, such as " in FILE"; "" for the command line.

        Raises:
            SettingsError: naming key, value and what was expected.
        """
        if not self.fits(value):
            raise SettingsError(f"`{key}` is {value!r}{place}, but must be {self}.")

    def __str__(self) -> str:
        """Example: "an integer of at least 1, or null" """
        said = " or ".join(map(str, self.forms)) or "anything"
        return f"{said}, or null" if self.allows_null else said


ANYTHING = Declared()


def is_interval(value) -> bool:
    """Whether RecBole reads a filter in it; what it cannot read it leaves out without a word.

    Example: "[20,inf)", "[0,1];(4,5]" and the list [3, 5], but neither 7 nor "[20,inf"
    """
    try:
        return all(Interval.parse(part) for part in str(value).split(";"))
    except ValueError:
        return False


def comment_of(line: str) -> str | None:
    """What stands in the brackets of a line's comment; None if there are none.

    Brackets of either kind pair, as those of an interval do.

    Example: "eta: 0.5  # (float in [0, 1)) A share." -> "float in [0, 1)"
    """
    found = re.search(r"#\s*\(", line)
    depth, start = 1, found.end() if found else 0
    for place in range(start, len(line)) if found else ():
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(line[place], 0)
        if depth == 0:
            return line[start:place]
    return None
