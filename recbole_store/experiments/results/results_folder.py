"""The results folder: what runs leave there, and what is made from that alone.

::

    results/<dataset>/<stem>.json    the run's result.json, unchanged
    results/<dataset>/<stem>.npz     its ranks, condensed
    results/<dataset>/<stem>.examples.npz    lists of a few users, codes of a few items
    results/results.csv              every figure: dataset,model,variant,seed,slice,metric,value
    results/pairs.csv                paired differences between labels
    results/protocol.json            what holds for all runs of a data set, and for each run

The last three are remade whole after every run. Each file is written beside its place and moved
there, so that a reader, or a crash, never meets half a file.
"""

from __future__ import annotations

import csv
import io
import json
import os
import tempfile
from pathlib import Path

import numpy as np

from recbole_store.data.formula_cells import harmless
from recbole_store.errors import NotKept, SettingsError
from recbole_store.experiments.results.examples import condense_examples, examples_path
from recbole_store.experiments.results.kept_run import KeptRun
from recbole_store.experiments.results.protocol_file import conditions
from recbole_store.experiments.results.run_key import Run
from recbole_store.experiments.results.significance import PAIR_COLUMNS, pair_rows
from recbole_store.experiments.results.tidy import check_ranks, figures

COLUMNS = ("dataset", "model", "variant", "seed", "slice", "metric", "value")


def result_path(folder: Path, run: Run) -> Path:
    """Where a results folder keeps a run's result.json."""
    return folder / run.dataset / f"{run.stem}.json"


def keep(run_dir: Path, folder: Path) -> KeptRun:
    """Copy a run into the results folder and remake what depends on it.

    Raises:
        SettingsError: the run's ranks and its metrics disagree.
        NotKept: the folder cannot be written.
    """
    kept = KeptRun.from_run_dir(run_dir)
    check_ranks(kept)
    path = result_path(folder, kept.run)
    files = {
        path.with_suffix(".npz"): kept.arrays,
        examples_path(path): condense_examples(run_dir, kept.is_filtered),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for file, arrays in files.items():
            if arrays is None:
                file.unlink(missing_ok=True)  # of an earlier run
            else:
                buffer = io.BytesIO()
                np.savez_compressed(buffer, **arrays)
                replace_file(file, buffer.getvalue())
        # The JSON comes last: a run whose JSON is there is finished.
        replace_file(path, (run_dir / "result.json").read_bytes())
        # Broken files of other runs were told of before this one began.
        remake(folder, read_runs(folder, broken=[]))
    except OSError as error:
        if not path.is_file():  # arrays without their run
            for file in files:
                file.unlink(missing_ok=True)
        raise NotKept(
            f"Cannot write to {folder}: {error.strerror}. The run is whole: mend that, and "
            f"--resume={run_dir} --results={folder} keeps it."
        ) from error
    return kept


def read_runs(folder: Path, broken: list[str] | None = None) -> list[KeptRun]:
    """All runs of a results folder, or of one data set's folder in it, by path.

    Args:
        broken: takes a sentence on each file that is no result of a run, and the others are read.

    Raises:
        SettingsError: there is such a file, and no ``broken``.
    """
    runs = []
    for path in sorted([*folder.glob("*/*-seed*.json"), *folder.glob("*-seed*.json")]):
        try:
            kept = KeptRun.from_results(path)
            check_ranks(kept)  # they may be those of another run
            runs.append(kept)
        except SettingsError as error:
            if broken is None:
                raise
            broken.append(str(error))
    return runs


def read_folder(folder: Path, broken: list[str]) -> list[KeptRun]:
    """The runs of a results folder, to show; ``broken`` as for :func:`read_runs`.

    Raises:
        SettingsError: there is no such folder, or no run in it that can be read.
    """
    if not folder.is_dir():
        raise SettingsError(
            f"There is no results folder {folder}: run a comparison first, or name its folder."
        )
    runs = read_runs(folder, broken)
    if not runs:
        raise SettingsError(
            " ".join(broken)
            or f"{folder} has no result file of a run, such as DATASET/MODEL-seed2020.json."
        )
    return runs


def remake(folder: Path, runs: list[KeptRun] | None = None) -> list[KeptRun]:
    """Write results.csv, pairs.csv and protocol.json from the runs that the folder holds.

    Args:
        runs: those of the folder, if they have been read.

    Returns:
        These runs.

    Raises:
        SettingsError: no ``runs``, and a file is no result of a run.
    """
    runs = read_runs(folder) if runs is None else runs
    replace_file(folder / "results.csv", _csv(COLUMNS, _tidy(runs)))
    replace_file(folder / "pairs.csv", _csv(PAIR_COLUMNS, pair_rows(runs)))
    text = json.dumps(conditions(runs), indent=1, default=str) + "\n"
    replace_file(folder / "protocol.json", text.encode())
    return runs


def _tidy(runs: list[KeptRun]):
    for kept in runs:
        run = kept.run
        for (slice_name, metric), value in figures(kept).items():
            row = (run.dataset, run.model, run.variant, run.seed, slice_name, metric)
            yield *row, format(value, ".6g") if isinstance(value, float) else value


def _csv(columns, rows) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([harmless(v) if isinstance(v, str) else v for v in row] for row in rows)
    return text.getvalue().encode()


def replace_file(path: Path, content: bytes) -> None:
    """Write a file in one step."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as new:
        try:
            new.write(content)
            new.close()
            os.chmod(new.name, 0o644)  # temporary files are their owner's alone
            os.replace(new.name, path)
        except OSError:  # a full disk keeps no half file
            os.unlink(new.name)
            raise
