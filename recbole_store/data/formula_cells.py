"""Texts of a data set in tables that people open in a spreadsheet."""

from __future__ import annotations

_BEGINNINGS = ("=", "+", "-", "@", "\t", "\r")


def harmless(text: str) -> str:
    """A cell's text, with an apostrophe before what a spreadsheet would take for a formula.

    Numbers stay numbers.

    Example: "=1+1" -> "'=1+1", "-0.5" -> "-0.5", "@home" -> "'@home"
    """
    if not text.startswith(_BEGINNINGS):
        return text
    try:
        float(text)
    except ValueError:
        return "'" + text
    return text
