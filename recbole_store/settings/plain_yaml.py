"""YAML as settings have it: numbers, texts, lists and mappings, and nothing that could do harm.

No Python objects; no few lines that stand for more than fits into memory, as those do that name
each other again and again; no value without end, and no text that no file could hold.
"""

from __future__ import annotations

import re

import yaml

MOST = 100_000  # values of a file, or of a word of the command line
DEEPEST = 20  # lists and mappings within each other


class _Loader(yaml.SafeLoader):
    """YAML without Python objects, reading ``1e-3`` as the number that everybody means."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+$"),
    list("-+0123456789."),
)
# A date would reach RecBole as a datetime object; as text it stays what was typed.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}
_OPEN = 0  # in the place of a size that is still being counted
_UNWRITABLE = re.compile("[\0\ud800-\udfff]")


def read_yaml(text: str):
    """What a YAML text says.

    Raises:
        ValueError: it is none, or holds what no setting can be; the message says what, and where.
    """
    try:
        found = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ValueError(f"not valid YAML{_line(mark)}") from error
    except RecursionError as error:
        raise ValueError(f"lists within lists, more than {DEEPEST} deep") from error
    except (ValueError, TypeError, LookupError, AttributeError) as error:  # of a tag's own
        raise ValueError(f"not valid YAML ({error})") from error
    _size(found, {}, 0)
    return found


def _line(mark) -> str:
    return f", line {mark.line + 1}" if mark else ""


def _size(value, sizes: dict[int, int], depth: int) -> int:
    """How many values there are, counted where one is named again as well."""
    if isinstance(value, str) and (found := _UNWRITABLE.search(value)):
        raise ValueError(f"a text with the character {found[0]!r}, which no file can hold")
    if value is None or isinstance(value, (str, int, float)):
        return 1
    if not isinstance(value, (list, dict)):
        raise ValueError(f"a {type(value).__name__}, which no setting can be")
    if depth == DEEPEST:
        raise ValueError(f"lists within lists, more than {DEEPEST} deep")
    if sizes.get(id(value)) == _OPEN:
        raise ValueError("a list or mapping that holds itself")
    if id(value) not in sizes:
        sizes[id(value)] = _OPEN
        inner = value if isinstance(value, list) else [*value, *value.values()]
        sizes[id(value)] = 1 + sum(_size(one, sizes, depth + 1) for one in inner)
        if sizes[id(value)] > MOST:
            raise ValueError(f"more than {MOST:,} values")
    return sizes[id(value)]
