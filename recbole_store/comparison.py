"""Several models on one dataset, each in a process of its own, under one protocol."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path


def new_run_dir(parent: Path, model: str, dataset: str, seed: int) -> Path:
    """A folder name that no earlier run has, even one started in the same second."""
    stem = f"{model}-{dataset}-seed{seed}-{datetime.now():%Y%m%d-%H%M%S}"
    candidate, count = parent / stem, 1
    while candidate.exists():
        count += 1
        candidate = parent / f"{stem}-{count}"
    candidate.mkdir(parents=True)
    return candidate


def run_each(
    script: Path, models: list[str], arguments: list[str], run_dirs: list[Path]
) -> list[dict]:
    """Run the models one after the other; a model that fails is reported and left out.

    Each gets its own process: peak memory, thread pools and random state of one cannot touch the
    next, and a crash ends one model only.

    Args:
        script: what a person would run.
        arguments: the command line, without ``--model`` and ``--run_dir``.

    Returns:
        The results of the models that finished.
    """
    results = []
    for model, run_dir in zip(models, run_dirs, strict=True):
        print(f"\n=== {model} ===", flush=True)
        command = [sys.executable, str(script), f"--model={model}", f"--run_dir={run_dir}"]
        finished = subprocess.run([*command, "--no_table", *arguments], check=False)
        if finished.returncode == 0:
            results.append(read_result(run_dir / "result.json"))
        else:
            print(
                f"{model} failed (exit status {finished.returncode}); the others go on.",
                file=sys.stderr,
            )
    return results


def read_result(path: Path) -> dict:
    """The content of one result file."""
    return json.loads(path.read_text(encoding="utf-8"))


def read_results(folder: Path, but: set[str] = frozenset()) -> list[dict]:
    """The result files of a folder, of models that are not in ``but``."""
    results = [read_result(path) for path in sorted(folder.glob("*.json"))]
    return [result for result in results if result["model"] not in but]


def comparable(one: dict, other: dict) -> bool:
    """Whether two results are of one dataset, protocol and valid metric.

    The length of the history is a model's own choice.
    """

    def terms(result: dict) -> tuple:
        protocol = {k: v for k, v in result["protocol"].items() if k != "max_item_list_length"}
        return result["dataset"], result["valid_metric"].lower(), protocol

    return terms(one) == terms(other)


def keep_results(results: list[dict], folder: Path) -> None:
    """Copy results into a folder meant to be committed, one file a model."""
    folder.mkdir(parents=True, exist_ok=True)
    for result in results:
        run_dir = Path(result["run_dir"])
        shutil.copyfile(run_dir / "result.json", folder / f"{result['model']}.json")
