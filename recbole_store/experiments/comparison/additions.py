"""A single run that has finished, put into a results folder afterwards."""

from __future__ import annotations

from pathlib import Path

from recbole_store.errors import SettingsError
from recbole_store.experiments.comparison.runner import Planned, check_seeds, is_finished
from recbole_store.experiments.results.kept_run import KeptRun
from recbole_store.experiments.results.results_folder import keep, read_runs
from recbole_store.experiments.results.run_key import Run
from recbole_store.experiments.run.run_folder import RESULT


def add(run_dir: Path, folder: Path, replace: bool = False) -> Run:
    """Keep a finished run in a results folder, under the rules of a comparison.

    Args:
        run_dir: such as ``saved/STORE-shop-seed2020-...``.
        folder: made if it is not there.
        replace: whether runs of the same name with other settings may go.

    Raises:
        SettingsError: there is no finished run, or it would replace another one.
    """
    if not (run_dir / RESULT).is_file():
        raise SettingsError(
            f"--add={run_dir}: there is no {RESULT} of a finished run; a run that was cut off goes "
            f"on with `recbole-store train --resume={run_dir}`."
        )
    kept = KeptRun.from_run_dir(run_dir)
    result = kept.result
    if result.get("hashed_settings", {}).get("validation_gap"):
        raise SettingsError(
            f"--add={run_dir}: the run had `validation_gap`, for choosing settings, and saw less "
            "than others: train it without."
        )
    names = ("protocol_hash", "hashed_settings", "data_sha256", "model_sha256", "result_version")
    missing = [name for name in names if name not in result]
    if missing:
        raise SettingsError(f"--add={run_dir}: its result.json has no `{missing[0]}`.")
    planned = Planned(kept.run, *(result[name] for name in names))
    there = read_runs(folder, broken=[]) if folder.is_dir() else []
    check_seeds([planned], there, replace)
    is_finished(planned, folder, replace)
    keep(run_dir, folder)
    return kept.run
