"""What a command ends with: tables, a verdict, users, and where things lie; or one JSON object."""

from __future__ import annotations

import json
from pathlib import Path

from recbole_store.experiments.last_words import answer_on, next_steps, users_shown
from recbole_store.experiments.report.answer import answer
from recbole_store.experiments.report.tables.tables import console_text
from recbole_store.experiments.results.groups import comparable_groups, title_of
from recbole_store.experiments.results.kept_run import KeptRun
from recbole_store.experiments.results.results_folder import result_path


def tables_shown(kept: list[KeptRun], beside: list[KeptRun], folder: Path | None) -> None:
    """Print the tables, results of ``beside`` among them where they followed the same protocol."""
    of_same = comparable(kept, beside)
    if len(of_same) < len(beside):
        print(f"{len(beside) - len(of_same)} results of {folder} followed another protocol.")
    print("\n" + console_text([*kept, *of_same], frozenset(one.label for one in of_same)))
    if of_same:
        print(f"* kept result, read from {folder}")


def comparable(kept: list[KeptRun], beside: list[KeptRun]) -> list[KeptRun]:
    """Those of ``beside`` that followed a protocol of the others."""
    groups = comparable_groups([*kept, *beside])
    return [one for group in groups if group[0] in kept for one in group if one in beside]


def single_shown(
    kept: KeptRun, run_dir: Path, data_path: Path, beside: list[KeptRun], folder: Path | None
) -> None:
    """Print what a single run ends with."""
    tables_shown([kept], beside, folder)
    if said := answer_on(kept, run_dir, comparable([kept], beside)):
        print(f"\n{said}\n")
    for line in users_shown(run_dir, kept.run.dataset, data_path, kept.is_filtered):
        print(line)
    print(f"{kept.label}: {run_dir}/result.json")
    print("\n".join(next_steps(run_dir)))


def compared_shown(
    kept: list[KeptRun], results: Path, beside: list[KeptRun], folder: Path | None
) -> None:
    """Print what a comparison ends with."""
    tables_shown(kept, beside, folder)
    print("\n" + "\n".join(answers([*kept, *comparable(kept, beside)])) + "\n")
    print(f"Kept in {results}: results.csv, pairs.csv, protocol.json.")


def answers(runs: list[KeptRun]) -> list[str]:
    """A sentence on each group of runs that may be compared, named where there are several."""
    groups = comparable_groups(runs)
    named = [f"{title_of(group, groups)}: " if len(groups) > 1 else "" for group in groups]
    return [name + answer(group) for name, group in zip(named, groups, strict=True)]


def as_json(
    kept: list[KeptRun],
    paths: list[dict[str, Path]],
    said: list[str],
    failed: list[str] | None = None,
) -> str:
    """One object on all runs of a command.

    Args:
        paths: of each run, by what lies there.
        said: the verdicts.
        failed: a sentence on each run that failed.
    """
    runs = [
        {
            "model": one.run.model,
            "variant": one.run.variant,
            "dataset": one.run.dataset,
            "seed": one.run.seed,
            "valid_metric": one.valid_metric,
            "valid": one.result["valid"],
            "test": one.result["test"],
            "tests": one.result.get("tests", {}),
            "times": one.result["times"],
            **{name: str(path) for name, path in where.items()},
        }
        for one, where in zip(kept, paths, strict=True)
    ]
    return json.dumps({"verdicts": said, "runs": runs, "failed": failed or []}, indent=1)


def paths_of_run(run_dir: Path) -> dict[str, Path]:
    """Where a run's result lies, and its model, if it left one."""
    found = {"result": run_dir / "result.json"}
    if (run_dir / "model" / "config.json").is_file():
        found["model_folder"] = run_dir / "model"
    return found


def paths_of_results(kept: list[KeptRun], results: Path) -> list[dict[str, Path]]:
    """Where results lie in a results folder."""
    return [{"result": result_path(results, one.run)} for one in kept]
