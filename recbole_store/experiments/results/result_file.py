"""One result.json: read, and checked for the shapes that tables and the report rely on."""

from __future__ import annotations

import json
from collections.abc import Callable
from numbers import Real
from pathlib import Path
from typing import NamedTuple

from recbole_store.errors import SettingsError


class Kind(NamedTuple):
    """What one value must be, and how that is said."""

    said: str
    fits: Callable[[object], bool]


class Each(NamedTuple):
    """An object whose values are all of one shape, whatever their names."""

    shape: object


def _is_number(value) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


TEXT = Kind("a text", lambda v: isinstance(v, str) and v != "")
ANY_TEXT = Kind("a text", lambda v: isinstance(v, str))
WHOLE = Kind("a whole number", lambda v: isinstance(v, int) and not isinstance(v, bool))
NUMBER = Kind("a number", _is_number)
NUMBER_OR_NULL = Kind("a number or null", lambda v: v is None or _is_number(v))
NUMBERS = Each(NUMBER_OR_NULL)
YES_NO = Kind("true, false or null", lambda v: v is None or isinstance(v, bool))
CUTOFFS = Kind(
    "whole numbers or null",
    lambda v: v is None or all(map(WHOLE.fits, v if isinstance(v, list) else [v])),
)
OBJECT = Each(Kind("anything", lambda v: True))

# A dict names fields, "?" ends those that may be missing (at the top also null), and others may
# stand beside them; a list holds the shape of its rows.
RESULT = {
    "model": TEXT,
    "dataset": TEXT,
    "seed": WHOLE,
    "valid_metric": TEXT,
    "valid": NUMBERS,
    "test": NUMBERS,
    "protocol": {
        "n_test": WHOLE,
        "n_users?": WHOLE,
        "n_items?": WHOLE,
        "n_interactions?": WHOLE,
        "filter_history?": YES_NO,
        "eval_args?": {"split?": OBJECT},
    },
    "times": NUMBERS,
    "variant?": ANY_TEXT,
    "tests?": Each(NUMBERS),
    "certain_topk?": Each(NUMBERS),
    "cold?": {"n_items": WHOLE, "n_users": WHOLE, "metrics": Each(NUMBERS)},
    "converged?": YES_NO,
    "curve?": [
        {"epoch": WHOLE, "train_s?": NUMBER, "valid_s?": NUMBER, "valid_score?": NUMBER_OR_NULL}
    ],
    "sizes?": NUMBERS,
    "store?": {"tokenizer_s?": NUMBER_OR_NULL},
    "settings?": {"topk?": CUTOFFS, "metric_decimal_place?": NUMBER_OR_NULL},
    "hashed_settings?": {"max_hours?": NUMBER_OR_NULL, "cold_items?": NUMBER_OR_NULL},
    "data_sha256?": OBJECT,
    "versions?": OBJECT,
    "hardware?": OBJECT,
    "git_commit?": TEXT,
    "run_dir?": TEXT,
}


def complaint(value, shape, place: str = "") -> str:
    """What is wrong with a value, as part of a sentence; empty if nothing is.

    Example: ({"test": None}, {"test": NUMBERS}) -> "`test` is null, but must be an object"
    """
    if isinstance(shape, Kind):
        return "" if shape.fits(value) else _unfit(value, shape.said, place)
    if isinstance(shape, list):
        if not isinstance(value, list):
            return _unfit(value, "a list", place)
        parts = ((inner, shape[0], f"{place}[{n}]") for n, inner in enumerate(value))
    elif not isinstance(value, dict):
        return _unfit(value, "an object", place)
    elif isinstance(shape, Each):
        parts = ((inner, shape.shape, f"{place}.{name}") for name, inner in value.items())
    else:
        if missing := [n for n in shape if not n.endswith("?") and n not in value]:
            return f"it has no `{_below(place, missing[0])}`"
        fields = ((name.removesuffix("?"), name, inner) for name, inner in shape.items())
        parts = (
            (value[key], inner, _below(place, key))
            for key, name, inner in fields
            if key in value and not (value[key] is None and name.endswith("?") and not place)
        )
    return next(filter(None, (complaint(*part) for part in parts)), "")


def _below(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _unfit(value, said: str, place: str) -> str:
    text = json.dumps(value, default=str)
    shown = text if len(text) <= 40 else text[:39] + "…"
    return f"`{place}` is {shown}, but must be {said}" if place else f"it is not {said}"


def read_result(path: Path) -> dict:
    """The content of one result file.

    Raises:
        SettingsError: it cannot be read, or is no result of a run; the message says where.
    """
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"Cannot read the result file {path}: {error}.") from error
    if said := complaint(result, RESULT):
        raise SettingsError(f"The file {path} is no result of a run: {said}.")
    return {key: value for key, value in result.items() if value is not None or key == "cold"}
