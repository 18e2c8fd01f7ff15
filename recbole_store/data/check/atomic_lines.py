"""The lines of an atomic file, and what RecBole's parser would make of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from recbole_store.data.check.finding import Finding
from recbole_store.data.prepare.atomic_text import PADDING, READ_AS_NOTHING

TYPES = ("token", "token_seq", "float", "float_seq")
EXAMPLES = 3


@dataclass
class Fault:
    """A kind of fault: how many there are, and the first of them."""

    changes_results: bool
    text: str
    stops: bool = False
    count: int = 0
    examples: list[str] = field(default_factory=list)


# Kind of fault -> whether it changes results, what is said of it, and whether a run refuses it.
FAULTS = {
    "encoding": (True, "lines that are not {encoding}, so that RecBole cannot read the file", True),
    "too few": (True, "lines with too few fields"),
    "too many": (True, "lines with too many fields"),
    "carriage return": (True, "lines with a carriage return inside, where RecBole ends the row"),
    "quote": (
        True,
        "fields that begin with a double quote, from where RecBole reads on to the next quote, "
        "over tabs and lines",
    ),
    "lost id": (True, "ids that are empty or a word such as NA, which RecBole reads as missing"),
    "padding id": (True, f"ids that are {PADDING}, RecBole's own name of the padding"),
    "split id": (True, "ids that hold the separator of sequences, where RecBole splits them"),
    "number": (True, "fields of type float that are no number, which RecBole cannot read", True),
    "lost value": (False, "values such as NA or None, which RecBole reads as missing"),
    "replacement": (False, "lines with U+FFFD, whose text was once decoded in a wrong encoding"),
}


class AtomicFile:
    """One atomic file; reading its rows collects the faults of its lines.

    Args:
        is_loaded: whether every run reads the file, so that what RecBole cannot read stops it.

    Attributes:
        columns: name -> type, from the header; empty if the header cannot be read.
    """

    def __init__(
        self,
        path: Path,
        separator: str,
        seq_separator: str,
        encoding: str,
        is_loaded: bool = True,
    ):
        self.path, self.encoding, self.is_loaded = path, encoding, is_loaded
        self.separator, self.seq_separator = separator, seq_separator
        self.faults: dict[str, Fault] = {}
        self.header_findings: list[Finding] = []
        self.columns = self._read_header()

    def _read_header(self) -> dict[str, str]:
        with self.path.open("rb") as file:
            line = file.readline()
        text = line.decode(self.encoding, errors="replace")
        if text.startswith("\N{ZERO WIDTH NO-BREAK SPACE}"):
            text = text[1:]
            self._say(True, "begins with a byte order mark, which becomes part of a column's name")
        columns = {}
        for name in text.rstrip("\r\n").split(self.separator):
            column, colon, kind = name.partition(":")
            if not colon or kind not in TYPES:
                self._say(
                    True, f"the header has {name!r}, but needs NAME:TYPE, of {', '.join(TYPES)}"
                )
                return {}
            columns[column] = kind
        return columns

    def _say(self, changes_results: bool, text: str) -> None:
        self.header_findings.append(Finding(changes_results, f"{self.path.name}: {text}."))

    def rows(self, id_columns: tuple[str, ...], split_ids: bool) -> Iterator[dict[str, str]]:
        """Every row, with as many fields as the header has; nothing is unquoted.

        As RecBole's parser has it: fields too few are empty, those too many are left out, and a
        carriage return ends a row.

        Args:
            id_columns: columns in which a lost value is a lost id.
            split_ids: whether ids also stand in sequences, so that a separator in them counts.
        """
        checks = [
            (name, _field_check(name in id_columns, kind, split_ids and self.seq_separator))
            for name, kind in self.columns.items()
        ]
        with self.path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                try:
                    line = raw.decode(self.encoding)
                except UnicodeDecodeError:
                    self._fault("encoding", number)
                    line = raw.decode(self.encoding, errors="replace")
                else:
                    if "\N{REPLACEMENT CHARACTER}" in line:
                        self._fault("replacement", number)
                line = line.rstrip("\n").removesuffix("\r")
                if number == 1:
                    continue
                if "\r" in line:
                    self._fault("carriage return", number)
                for piece in filter(None, line.split("\r")):
                    yield self._row(piece, number, checks)

    def _row(self, line: str, number: int, checks: list) -> dict[str, str]:
        values = line.split(self.separator)
        if len(values) != len(checks):
            self._fault("too few" if len(values) < len(checks) else "too many", number)
            values = [*values, *[""] * len(checks)][: len(checks)]
        for (name, check), value in zip(checks, values, strict=True):
            if fault := check(value):
                self._fault(fault, number, f"{name} {value[:40]!r}")
        return dict(zip(self.columns, values, strict=True))

    def _fault(self, kind: str, number: int, what: str = "") -> None:
        fault = self.faults.setdefault(kind, Fault(*FAULTS[kind]))
        fault.count += 1
        if len(fault.examples) < EXAMPLES:
            fault.examples.append(f"line {number}" + (f": {what}" if what else ""))

    def findings(self) -> list[Finding]:
        """What the header and the lines read so far have shown."""
        return self.header_findings + [
            Finding(
                fault.changes_results,
                f"{self.path.name}: {fault.text.format(encoding=self.encoding)}: "
                f"{fault.count:,} ({'; '.join(fault.examples)}).",
                fault.stops and self.is_loaded,
            )
            for fault in self.faults.values()
        ]


def _field_check(is_id: bool, kind: str, split_at: str | bool) -> Callable[[str], str | None]:
    def check(value: str) -> str | None:
        if value.startswith('"'):
            return "quote"
        if is_id:
            if value in READ_AS_NOTHING:
                return "lost id"
            if value == PADDING:
                return "padding id"
            if split_at and split_at in value:
                return "split id"
        elif kind == "float":
            return None if _is_number(value) else "number"
        elif value and value in READ_AS_NOTHING:
            return "lost value"
        return None

    return check


def _is_number(text: str) -> bool:
    try:
        # Digits without end are read as a whole number, which then fits into nothing.
        return text in READ_AS_NOTHING or not (math.isinf(float(text)) and text.isdecimal())
    except ValueError:
        return False
