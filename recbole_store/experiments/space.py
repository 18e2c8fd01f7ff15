"""What a search of settings may choose from: a YAML file, key by key.

::

    learning_rate: {low: 1e-4, high: 1e-2, log: true}   # any number between
    n_layers: {low: 1, high: 4}                         # whole, as both bounds are
    dropout_prob: [0.1, 0.2, 0.5]                       # one of these
"""

from __future__ import annotations

from pathlib import Path

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from recbole_store.errors import SettingsError
from recbole_store.settings.property_files import read_properties

_BOUNDS = {"low", "high", "log", "step"}


def read_space(path: Path) -> dict[str, BaseDistribution]:
    """Key -> what it may be.

    Raises:
        SettingsError: the file cannot be read, or an entry is neither a list nor bounds.
    """
    content = read_properties(path)
    if not content:
        raise SettingsError(f"{path} names no key to search: write such as `dropout: [0.1, 0.2]`.")
    return {key: _distribution(path, key, entry) for key, entry in content.items()}


def _distribution(path: Path, key: str, entry) -> BaseDistribution:
    try:
        if isinstance(entry, list) and not any(isinstance(v, (list, dict)) for v in entry):
            return CategoricalDistribution(entry)
        if isinstance(entry, dict) and {"low", "high"} <= entry.keys() <= _BOUNDS:
            bounds = (entry["low"], entry["high"])
            is_whole = all(isinstance(bound, int) for bound in bounds)
            kind = IntDistribution if is_whole else FloatDistribution
            return kind(**entry)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"{path}: `{key}` is no space to search: {error}.") from error
    raise SettingsError(
        f"{path}: `{key}` is {entry!r}, but must be a list of values, or {{low: ..., high: ...}} "
        "with `log: true` or a `step` where wanted."
    )


def suggest(trial: optuna.Trial, space: dict[str, BaseDistribution]) -> dict:
    """A value for each key."""
    found = {}
    for key, distribution in space.items():
        if isinstance(distribution, CategoricalDistribution):
            found[key] = trial.suggest_categorical(key, distribution.choices)
        else:
            is_whole = isinstance(distribution, IntDistribution)
            ask = trial.suggest_int if is_whole else trial.suggest_float
            bounds = {"log": distribution.log, "step": distribution.step}
            value = ask(key, distribution.low, distribution.high, **bounds)
            found[key] = value if is_whole else float(f"{value:.3g}")  # for whoever reads it
    return found


def inside(settings: dict, space: dict[str, BaseDistribution]) -> dict:
    """Of settings those that the space holds: what is known of them tells a search something."""
    return {
        key: value for key, value in settings.items() if key in space and _holds(space[key], value)
    }


def _holds(distribution: BaseDistribution, value) -> bool:
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and distribution.low <= value <= distribution.high
