"""Results folder -> what the report shows.

The folder is the one that a comparison writes: ``<dataset>/<stem>.json`` and ``.npz`` of every
run, ``results.csv`` and ``protocol.json``. ``pairs.csv`` is not read: it names neither protocol nor
seeds, and the pairs follow from the ranks. A run's own folder holds the larger files (ranked lists,
histories, items); it may be gone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from recbole_store.errors import SettingsError
from recbole_store.experiments.results.kept_run import KeptRun, read_arrays
from recbole_store.experiments.results.run_key import label_of

COLUMNS = ("dataset", "model", "variant", "seed", "slice", "metric", "value")


@dataclass(frozen=True, eq=False)
class Run:
    """One model, variant and seed on one data set: what was kept, and its own folder."""

    kept: KeptRun
    folder: Path | None  # None: it is gone

    @property
    def dataset(self) -> str:
        return self.kept.run.dataset

    @property
    def label(self) -> str:
        return self.kept.label

    @property
    def seed(self) -> int:
        return self.kept.run.seed

    @property
    def result(self) -> dict:
        return self.kept.result

    @property
    def ranks(self) -> dict[str, np.ndarray] | None:
        """Ranks of the targets and what slices need, [U] each; None where none were kept."""
        return self.kept.arrays

    def arrays(self, name: str) -> dict[str, np.ndarray] | None:
        """A ``.npz`` file of the run's own folder; None where it is not."""
        path = self.file(name)
        return read_arrays(path) if path else None

    def file(self, name: str) -> Path | None:
        """A file of the run's own folder; None where it is not."""
        path = self.folder / name if self.folder else None
        return path if path and path.is_file() else None

    @property
    def converged(self) -> bool | None:
        """Whether training ended by early stopping; None where the result does not say."""
        return self.result.get("converged")

    @property
    def is_trained(self) -> bool:
        """False for what counts or solves in one pass, such as Pop.

        Such a run is converged after one epoch, of which early stopping needs several.
        """
        epochs = self.result["times"].get("epochs")
        return epochs is None or epochs > 1 or self.converged is not True


@dataclass(frozen=True)
class Results:
    """All that was found in a results folder."""

    folder: Path
    table: pd.DataFrame  # COLUMNS and label
    protocol: dict
    runs: list[Run]

    @property
    def datasets(self) -> list[str]:
        """Names, in the order of results.csv."""
        return list(dict.fromkeys(self.table["dataset"]))

    @property
    def without_result(self) -> list[str]:
        """Runs that results.csv has figures of, but whose result file is gone."""
        there = {str(run.kept.run) for run in self.runs}
        named = self.table[["label", "dataset", "seed"]].itertuples(index=False)
        names = dict.fromkeys(f"{label} on {name}, seed {seed}" for label, name, seed in named)
        return [name for name in names if name not in there]


def read_results(folder: Path) -> Results:
    """Read a results folder.

    Raises:
        SettingsError: there is no such folder, or a file of it is missing or broken.
    """
    if not folder.is_dir():
        raise SettingsError(
            f"There is no results folder {folder}: run a comparison first, or name its folder."
        )
    table = _read_table(folder / "results.csv", COLUMNS)
    if table is None or table.empty:
        found = "is not there" if table is None else "holds no figures"
        raise SettingsError(
            f"{folder / 'results.csv'} {found}, but the report is made from it: "
            "run a comparison that writes into this folder."
        )
    names = zip(table["model"], table["variant"], strict=True)
    table["label"] = [label_of(model, variant) for model, variant in names]
    table["seed"] = _numbers(table, "seed", folder / "results.csv").astype(int)
    table["value"] = _numbers(table, "value", folder / "results.csv")
    runs = list(_read_runs(folder, list(dict.fromkeys(table["dataset"]))))
    if not runs:
        raise SettingsError(
            f"{folder} has no result file of a run, such as DATASET/MODEL-seed2020.json, but the "
            "report says what each run was: keep them beside results.csv."
        )
    protocol = folder / "protocol.json"
    return Results(folder, table, _read_json(protocol) if protocol.is_file() else {}, runs)


def _read_runs(folder: Path, datasets: list[str]) -> Iterator[Run]:
    for dataset in datasets:
        for path in sorted((folder / dataset).glob("*-seed*.json")):
            kept = KeptRun.from_results(path)
            yield Run(kept, _run_folder(folder, kept.result.get("run_dir")))


def _run_folder(results: Path, named: str | None) -> Path | None:
    """A run's own folder: as named, or seen from beside the results folder."""
    candidates = [Path(named), results.resolve().parent / named] if named else []
    return next((path for path in candidates if path.is_dir()), None)


def _read_json(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path} is not readable JSON ({error}): remake it.") from error
    if not isinstance(content, dict):
        raise SettingsError(f"{path} holds no JSON object: remake it.")
    return content


def _read_table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame | None:
    """A CSV file with every cell as text; None where there is none."""
    if not path.is_file():
        return None
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (ValueError, OSError) as error:
        raise SettingsError(f"{path} is not a readable CSV file ({error}): remake it.") from error
    missing = [column for column in columns if column not in table]
    if missing:
        raise SettingsError(
            f"{path} has no column {', '.join(missing)}; it needs {', '.join(columns)}: remake it."
        )
    return table


def _numbers(table: pd.DataFrame, column: str, path: Path) -> pd.Series:
    numbers = pd.to_numeric(table[column], errors="coerce")
    wrong = numbers.isna() & ~table[column].str.lower().isin(["", "nan"])
    if wrong.any():
        line = int(np.flatnonzero(wrong)[0]) + 2
        raise SettingsError(
            f"{path}, line {line}: `{column}` is {table[column][line - 2]!r}, but must be a "
            "number: remake it."
        )
    return numbers
