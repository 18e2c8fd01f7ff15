"""The trials of one label on one data set, as they are kept: ``trials/<dataset>/<stem>.json``."""

from __future__ import annotations

import json
from pathlib import Path

from recbole_store.errors import SettingsError
from recbole_store.experiments.results.result_file import NUMBERS, OBJECT, TEXT, WHOLE, complaint

_TRIAL = {"settings": OBJECT, "conditions": [TEXT], "valid": NUMBERS, "valid_metric": TEXT}
_TRIAL |= {"best_epoch": WHOLE, "epochs": WHOLE}


def read_trials(path: Path) -> list[dict]:
    """The trials kept in a file, none where there is no such file.

    Raises:
        SettingsError: it holds no trials.
    """
    if not path.is_file():
        return []
    try:
        trials = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"Cannot read the trials {path}: {error}.") from error
    said = complaint(trials, [_TRIAL])
    lacking = [] if said else [t["valid_metric"] for t in trials if score(t) is None]
    if said or lacking:
        raise SettingsError(f"{path} holds no trials: {said or f'one has no {lacking[0]}'}.")
    return trials


def score(trial: dict) -> float | None:
    """The metric by which a trial is judged."""
    return trial["valid"].get(trial["valid_metric"])
