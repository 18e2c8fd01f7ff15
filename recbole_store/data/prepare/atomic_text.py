"""Ids, texts and features in a form that survives RecBole's parser.

RecBole reads atomic files with ``pandas.read_csv(engine="python")``: a field that begins with a
quote runs on to the next one, "NA" and "None" become nothing, ``token_seq`` columns are split at
spaces, and a carriage return ends a row.
"""

from __future__ import annotations

import html
import re

# What pandas takes for nothing, whatever the column; "[PAD]" is RecBole's own name of item_id 0.
READ_AS_NOTHING = frozenset(
    ["", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"]
    + ["<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"]
)
PADDING = "[PAD]"

_ENTITY = re.compile(r"&(?:#[0-9]+|#[xX][0-9a-fA-F]+|[A-Za-z][A-Za-z0-9]*);")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_SURROGATES = re.compile(r"[\ud800-\udfff]")
_PLAIN_ID = re.compile(r"[!#$&-~]+")
_ESCAPED_IN_ID = re.compile(
    r'[\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ud800-\udfff%"]'
)


def clean_text(text: str) -> str:
    """Text as it is meant: entities resolved, control characters to a space, ends stripped.

    Everything else is kept: repeated spaces, quotes, all scripts, direction marks and emoji.
    Cleaning twice changes nothing more.

    Example: clean_text(" Salt &amp; Pepper\\r\\n2 pcs ") -> "Salt & Pepper 2 pcs"
    """
    previous = None
    while previous != text:  # shops escape twice: &amp;quot;
        previous, text = text, _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)
    return _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", _CONTROLS.sub(" ", text)).strip()


def clean_value(value) -> str | list[str]:
    """A raw value as text, or, for a list, as a list of texts without empty ones.

    Example: clean_value(["a&lt;b", None, ""]) -> ["a<b"]; clean_value(None) -> ""
    """
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        parts = [clean_value(part) for part in value]
        flat = [text for part in parts for text in (part if isinstance(part, list) else [part])]
        return [text for text in flat if text]
    return clean_text(value if isinstance(value, str) else str(value))


def safe_id(value) -> str:
    """A raw id that RecBole can neither split, lose nor confuse with another.

    Ids of printable ASCII stay as they are. Spaces, control characters, ``"`` and ``%`` are
    percent-encoded, and so is the first character of an id that would be read as nothing, so
    different ids stay different.

    Example: safe_id("B00 1") -> "B00%201"; safe_id("NA") -> "%4EA"; safe_id(" ") -> ""
    """
    text = value if isinstance(value, str) else "" if value is None else str(value)
    if _PLAIN_ID.fullmatch(text) and text not in READ_AS_NOTHING and text != PADDING:
        return text
    text = text.strip()
    if text and (text in READ_AS_NOTHING or text == PADDING):
        return _percent_encoded(text[0]) + text[1:]
    return _ESCAPED_IN_ID.sub(lambda match: _percent_encoded(match[0]), text)


def _percent_encoded(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass"))


def feature(value: str | list[str], kind: str) -> str:
    """A cleaned value as a field of ``NAME.item``.

    Args:
        kind: ``token`` (the value is one token), ``token_seq`` (each word of a text, or each
            entry of a list, is a token) or ``float``.

    Example:
        feature('"Heat" 2', "token_seq") -> "'Heat' 2"; feature(["Hair Care"], "token_seq") ->
        "Hair_Care"; feature("NA", "token") -> "NA_"; feature("$3.50", "float") -> "3.50"
    """
    if kind == "float":
        number = re.fullmatch(
            r"\$?\s*([-+]?\d+(?:\.\d+)?)", value if isinstance(value, str) else ""
        )
        return number[1] if number else ""
    if isinstance(value, list):
        words = ["_".join(part.split()) for part in value]
        field = (" " if kind == "token_seq" else ",").join(words)
    else:
        field = " ".join(value.split())
    field = field.replace('"', "'")
    return field + "_" if field and (field in READ_AS_NOTHING or field == PADDING) else field
