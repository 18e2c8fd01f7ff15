"""Cells of TSV and CSV files that people open in a spreadsheet."""

from __future__ import annotations

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula; numbers stay numbers.

    An apostrophe in front is what spreadsheets themselves mark text with.

    Example: harmless("=HYPERLINK(...)") -> "'=HYPERLINK(...)"; harmless("-2.5") -> "-2.5"
    """
    if text.startswith(_FORMULA) and not _is_number(text):
        return "'" + text
    return text


def _is_number(text: str) -> bool:
    try:
        return float(text) is not None
    except ValueError:
        return False
