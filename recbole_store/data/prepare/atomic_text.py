"""Ids, texts and features in a form that survives RecBole's parser.

RecBole reads atomic files with ``pandas.read_csv(engine="python")``: a field that begins with a
quote runs on to the next one, "NA" and "None" become nothing, ``token_seq`` columns are split at
spaces, and a carriage return ends a row.
"""

from __future__ import annotations

import html
import math
import re

from recbole_store.errors import BadValue

# What pandas takes for nothing, whatever the column; "[PAD]" is RecBole's own name of item_id 0.
READ_AS_NOTHING = frozenset(
    ["", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"]
    + ["<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"]
)
PADDING = "[PAD]"

# No pattern looks at a character more than a few times: a text may be a megabyte of anything.
_ESCAPED_AGAIN = re.compile(r"&(?:amp;)+(?=#?\w{1,32};)")
_ENTITY = re.compile(r"&(?:#[0-9]{1,8}|#[xX][0-9a-fA-F]{1,8}|[A-Za-z][A-Za-z0-9]{1,31});")
# Only what HTML has: "<3", "List<int>" and "a < b" are text.
_INLINE = (
    "a|abbr|acronym|b|bdi|bdo|big|cite|code|del|dfn|em|font|i|ins|kbd|mark|q|s|samp|small|span|"
    "strike|strong|sub|sup|tt|u|var|wbr"
)
_BLOCKS = (
    "address|article|aside|blockquote|body|br|button|caption|center|col|colgroup|dd|details|div|"
    "dl|dt|embed|fieldset|figcaption|figure|footer|form|h[1-6]|head|header|hr|html|iframe|img|"
    "input|label|legend|li|link|main|meta|nav|noscript|object|ol|option|p|param|picture|pre|"
    "script|section|select|source|style|summary|svg|table|tbody|td|textarea|tfoot|th|thead|title|"
    "tr|ul|video"
)
_END_OF_TAG = r"(?:\s[^<>]*|/)?>"
_NOT_SHOWN = re.compile(
    rf"<(script|style){_END_OF_TAG}[^<]*</\1\s*>|<!--[^<>]*-->|<!doctype[^<>]*>", re.IGNORECASE
)
_INLINE_TAG = re.compile(rf"</?(?:{_INLINE}){_END_OF_TAG}", re.IGNORECASE)
_BLOCK_TAGS = re.compile(rf"(?:</?(?:{_BLOCKS}){_END_OF_TAG}\s*)+", re.IGNORECASE)
_NESTED = 10  # times that a text is unescaped and stripped: shops escape twice, nobody ten times
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_SURROGATES = re.compile(r"[\ud800-\udfff]")
_PLAIN_ID = re.compile(r"[!#$&-~]+")
_ESCAPED_IN_ID = re.compile(
    r'[\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ud800-\udfff%"]'
)


def clean_text(text: str) -> str:
    """Text as it is meant: entities resolved, tags of HTML and control characters gone.

    Everything else is kept: repeated spaces, quotes, all scripts, direction marks and emoji.
    Cleaning twice changes nothing more.

    Example:
        " Salt &amp; Pepper\\r\\n2 pcs " -> "Salt & Pepper 2 pcs"
        "<p>A <b>new</b>\\nlamp</p><p>&lt; 5 W" -> "A new lamp < 5 W"
    """
    for _ in range(_NESTED):
        before, text = text, _without_html(text)
        if text == before:
            break
    return _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", _CONTROLS.sub(" ", text)).strip()


def _without_html(text: str) -> str:
    """One layer of entities and tags less."""
    if "&" in text:
        text = _ESCAPED_AGAIN.sub("&", text)
        text = _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)
    if "<" in text:
        text = _NOT_SHOWN.sub(" ", text)
        text = _BLOCK_TAGS.sub(" ", _INLINE_TAG.sub("", text))
    return text


def is_missing(value) -> bool:
    """Whether a value stands for none: None, NaN, an infinite number.

    Example: is_missing(float("nan")) -> True; is_missing("") -> False
    """
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def clean_value(value) -> str | list[str]:
    """A raw value as text, or, for a list, as a list of texts without empty ones.

    Example: clean_value(["a&lt;b", None, ""]) -> ["a<b"]; clean_value(None) -> ""
    """
    if is_missing(value):
        return ""
    if isinstance(value, list | tuple):
        parts = [clean_value(part) for part in value]
        flat = [text for part in parts for text in (part if isinstance(part, list) else [part])]
        return [text for text in flat if text]
    return clean_text(_as_text(value))


def _as_text(value) -> str:
    """Numbers that are whole as integers: what is 5 in one file is 5.0 in another."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, str) else str(value)


def safe_id(value) -> str:
    """A raw id that RecBole can neither split, lose nor confuse with another.

    Ids of printable ASCII stay as they are. Spaces, control characters, ``"`` and ``%`` are
    percent-encoded, and so is the first character of an id that would be read as nothing, so
    different ids stay different. A number that is whole is an integer, NaN is no id.

    Example:
        "B00 1" -> "B00%201"; "NA" -> "%4EA"; " " -> ""; 7.0 -> "7"; float("nan") -> ""

    Raises:
        BadValue: a list or an object.
    """
    if is_missing(value):
        return ""
    if isinstance(value, list | tuple | dict):
        raise BadValue(f"{str(value)[:40]!r} is no id")
    text = _as_text(value)
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
            r"\$?\s*([-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)", value if isinstance(value, str) else ""
        )
        return number[1] if number else ""
    if isinstance(value, list):
        words = ["_".join(part.split()) for part in value]
        field = (" " if kind == "token_seq" else ",").join(words)
    else:
        field = " ".join(value.split())
    field = field.replace('"', "'")
    return field + "_" if field and (field in READ_AS_NOTHING or field == PADDING) else field
