"""The trials that a results folder keeps, as tables: ``trials/<dataset>/<label>.json``."""

from __future__ import annotations

import json
from pathlib import Path

from recbole_store.errors import SettingsError
from recbole_store.experiments.report.tables.layout import Table
from recbole_store.experiments.results.trial_file import read_trials, score


def trial_tables(results: Path, broken: list[str] | None = None) -> dict[str, list[Table]]:
    """Data set -> a table for its trials that were made under the same conditions.

    Best first for each model. Models of one table need not be comparable: trials may have fewer
    epochs than runs.

    Args:
        broken: takes a sentence on each file that holds no trials, and the others are read.

    Raises:
        SettingsError: there is such a file, and no ``broken``.
    """
    groups: dict[tuple, list[tuple[str, dict]]] = {}
    for path in sorted((results / "trials").glob("*/*.json")):
        try:
            trials = read_trials(path)
        except SettingsError as error:
            if broken is None:
                raise
            broken.append(str(error))
            continue
        for trial in sorted(trials, key=score, reverse=True):
            key = (path.parent.name, *sorted(trial["conditions"]))
            groups.setdefault(key, []).append((path.stem.replace("-", ":", 1), trial))
    found: dict[str, list[Table]] = {}
    for key in sorted(groups):
        found.setdefault(key[0], []).append(_table(*key, of_group=groups[key]))
    return found


def _table(dataset: str, *conditions: str, of_group: list[tuple[str, dict]]) -> Table:
    title = f"{dataset}: trials" + (f" with {' '.join(conditions)}" if conditions else "")
    notes = ["Best first for each model, the metrics are validation's, one seed each."]
    if any(trial.get("ranked_again") for _, trial in of_group):
        notes.append("‡ Not trained anew: the ranking of a trained model was changed alone.")
    header = ["model", "settings", "valid metric", "value", "best epoch", "epochs"]
    rows = [[label, *_cells(trial)] for label, trial in of_group]
    return Table(title, header, rows, notes, n_text_columns=3)


def _cells(trial: dict) -> list[str]:
    settings = ", ".join(f"{key} {json.dumps(value)}" for key, value in trial["settings"].items())
    mark = " ‡" if trial.get("ranked_again") else ""
    cells = [(settings or "its own") + mark, trial["valid_metric"], f"{score(trial):.4f}"]
    return [*cells, str(trial["best_epoch"] + 1), str(trial["epochs"])]
