"""The trials that a results folder keeps, as tables: ``trials/<dataset>/<label>.json``."""

from __future__ import annotations

import json
from pathlib import Path

from recbole_store.errors import SettingsError
from recbole_store.experiments.report.tables.layout import Table

_NEEDED = {"settings", "conditions", "valid", "valid_metric", "best_epoch", "epochs"}
HEADER = ["model", "settings", "valid metric", "value", "best epoch", "epochs"]


def read_trials(path: Path) -> list[dict]:
    """The trials kept in a file, none where there is no such file.

    Raises:
        SettingsError: it holds no trials.
    """
    if not path.is_file():
        return []
    try:
        trials = json.loads(path.read_text(encoding="utf-8"))
        if all(trial.keys() >= _NEEDED for trial in trials):
            return trials
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise SettingsError(f"Cannot read the trials {path}: {error}.") from error
    raise SettingsError(f"The file {path} holds no trials.")


def score(trial: dict) -> float:
    """The metric by which a trial is judged."""
    return trial["valid"][trial["valid_metric"]]


def trial_tables(results: Path) -> list[Table]:
    """A table for the trials of each data set that were made under the same conditions.

    Best first for each model. Models of one table need not be comparable: trials may have fewer
    epochs than runs.

    Raises:
        SettingsError: a file holds no trials.
    """
    groups: dict[tuple, list[tuple[str, dict]]] = {}
    for path in sorted((results / "trials").glob("*/*.json")):
        label = path.stem.replace("-", ":", 1)
        for trial in sorted(read_trials(path), key=score, reverse=True):
            key = (path.parent.name, *sorted(trial["conditions"]))
            groups.setdefault(key, []).append((label, trial))
    return [_table(*key, of_group=groups[key]) for key in sorted(groups)]


def _table(dataset: str, *conditions: str, of_group: list[tuple[str, dict]]) -> Table:
    title = f"{dataset}: trials" + (f" with {' '.join(conditions)}" if conditions else "")
    notes = ["Best first for each model, the metrics are validation's, one seed each."]
    if any(trial.get("ranked_again") for _, trial in of_group):
        notes.append("‡ Not trained anew: the ranking of a trained model was changed alone.")
    rows = [[label, *_cells(trial)] for label, trial in of_group]
    return Table(title, HEADER, rows, notes, n_text_columns=3)


def _cells(trial: dict) -> list[str]:
    settings = ", ".join(f"{key} {_text(value)}" for key, value in trial["settings"].items())
    mark = " ‡" if trial.get("ranked_again") else ""
    return [
        (settings or "its own") + mark,
        trial["valid_metric"],
        f"{score(trial):.4f}",
        str(trial["best_epoch"] + 1),
        str(trial["epochs"]),
    ]


def _text(value) -> str:
    """As in a property file."""
    return "null" if value is None else json.dumps(value)
