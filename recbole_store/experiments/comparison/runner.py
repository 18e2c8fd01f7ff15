"""Runs one after the other, each in a process of its own; finished ones are not run again."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from recbole_store.errors import NotKept, SettingsError
from recbole_store.experiments.comparison.plan import new_run_dir
from recbole_store.experiments.processes import PROGRAM as PROGRAM
from recbole_store.experiments.processes import Terminated, reason, run_process
from recbole_store.experiments.results.kept_run import KeptRun
from recbole_store.experiments.results.results_folder import keep, result_path
from recbole_store.experiments.results.run_key import Run
from recbole_store.experiments.run.run_folder import (
    IDENTITY,
    is_free,
    is_unfinished,
    read_identity,
)
from recbole_store.processes.status import duration as duration


@dataclass(frozen=True)
class Planned:
    """A run with its protocol hash and all that went into it.

    Attributes: as :func:`recbole_store.experiments.run.fingerprint.identity` names them.
    """

    run: Run
    protocol_hash: str
    hashed_settings: dict
    data_sha256: dict = field(default_factory=dict)
    model_sha256: dict = field(default_factory=dict)
    result_version: int = 1


@dataclass
class Outcome:
    """What became of a comparison."""

    kept: set[Run] = field(default_factory=set)
    failed: list[str] = field(default_factory=list)  # one sentence each
    stopped_by: BaseException | None = None

    @property
    def interrupted(self) -> bool:
        return self.stopped_by is not None


def is_finished(planned: Planned, folder: Path, replace: bool = False) -> bool:
    """Whether the results folder holds this very run.

    Args:
        replace: whether a run of the same name with other settings, data or weights of an LLM may
            be overwritten.

    Raises:
        SettingsError: it holds one of these, which would be lost.
    """
    path = result_path(folder, planned.run)
    if not path.is_file():
        return False
    try:
        kept = KeptRun.from_results(path)
    except SettingsError:  # told of where the folder is read; half a file holds nothing to lose
        return False
    result = kept.result
    if result.get("protocol_hash") == planned.protocol_hash:
        return not kept.lacks_ranks
    if not replace and result.get("hashed_settings") != planned.hashed_settings:
        raise SettingsError(
            f"{path} holds a run with other settings ({_difference(result, planned)}): name "
            "another folder with --results=DIR, or replace it with --replace."
        )
    others = {
        f"on other data files of the name {planned.run.dataset}": (
            result.get("data_sha256"),
            planned.data_sha256,
        ),
        "with other files of its LLM or text encoder": (
            result.get("model_sha256"),
            planned.model_sha256,
        ),
    }
    for said, (theirs, ours) in others.items():
        if not replace and theirs is not None and theirs != ours:
            raise SettingsError(
                f"{path} holds a run {said}: name another folder with --results=DIR, or replace it "
                "with --replace."
            )
    return False


def check_seeds(planned: list[Planned], kept: list[KeptRun], replace: bool = False) -> None:
    """Seeds of one label are averaged, so they must have one setting, and one version of the code.

    Args:
        kept: the results folder's runs; those of an earlier version that are planned now are made
            anew.
        replace: whether runs that are planned now will replace kept ones.

    Raises:
        SettingsError: a kept seed of a planned label has other settings, or is of another version.
    """
    versions = {one.run: one.result_version for one in planned}
    replaced = {
        other.run
        for other in kept
        if other.run in versions
        and (replace or other.result.get("result_version") != versions[other.run])
    }
    for one in planned:
        for other in kept:
            is_same_label = (other.run.dataset, other.label) == (one.run.dataset, one.run.label)
            if not is_same_label or other.run in replaced or other.run.seed == one.run.seed:
                continue
            if _without_seed(other.result.get("hashed_settings")) != _without_seed(
                one.hashed_settings
            ):
                raise SettingsError(
                    f"{other.run} is kept with other settings ({_difference(other.result, one)}), "
                    "and a label's seeds are averaged: name another folder with --results=DIR, or "
                    "run all of its seeds with --replace."
                )
            if other.result.get("result_version") != one.result_version:
                raise SettingsError(
                    f"{other.run} was kept by another version of the code, whose figures are not "
                    "averaged with today's: name another folder with --results=DIR, or run all of "
                    "its seeds with --seeds."
                )


def _without_seed(settings: dict | None) -> dict | None:
    return settings and {key: value for key, value in settings.items() if key != "seed"}


def _difference(result: dict, planned: Planned) -> str:
    """Example: ``epochs 5, now by default``, for the first key that differs."""
    theirs, ours = _without_seed(result.get("hashed_settings")), planned.hashed_settings
    if theirs is None:
        return "which it does not say"
    keys = (theirs.keys() | ours.keys()) - {"seed"}
    key = min(k for k in keys if theirs.get(k, ...) != ours.get(k, ...))
    return f"{key} {theirs.get(key, 'by default')}, now {ours.get(key, 'by default')}"


def time_left(runs: list[Run], seconds: dict[tuple[str, str], list[float]]) -> tuple[float, int]:
    """Seconds that the runs will take, by earlier ones of their data set and label.

    Returns:
        the sum for those of which something is known, and the number of the others.

    Example: two runs of A and one of B, {("ml-100k", "A"): [10, 20]} -> (30, 1)
    """
    known = [seconds[run.dataset, run.label] for run in runs if (run.dataset, run.label) in seconds]
    return sum(sum(own) / len(own) for own in known), len(runs) - len(known)


def past_times(kept: list[KeptRun]) -> dict[tuple[str, str], list[float]]:
    """How long finished runs took, by data set and label."""
    seconds: dict[tuple[str, str], list[float]] = {}
    for one in kept:
        total = one.result["times"].get("total_s")
        if total is not None:
            seconds.setdefault((one.run.dataset, one.run.label), []).append(total)
    return seconds


def progress(place: int, runs: list[Run], spent: float, seconds: dict) -> str:
    """Example: ``run 2 of 3: Pop on ml-100k, seed 2020; spent 5 min, about 10 min left``"""
    said = f"run {place} of {len(runs)}: {runs[place - 1]}"
    parts = [f"spent {duration(spent)}"] if place > 1 else []
    left, unknown = time_left(runs[place - 1 :], seconds)
    if left and not unknown:
        parts.append(f"about {duration(left)} left")
    elif left:
        parts.append(f"at least {duration(left)} left and {unknown} of unknown length")
    return said + ("; " + ", ".join(parts) if parts else "")


def cut_off(parent: Path, planned: list[Planned]) -> dict[Run, Path]:
    """Folders of planned runs that were cut off, the last begun of each; none runs there now.

    Args:
        parent: where the run folders are.
    """
    by_hash = {one.protocol_hash: one.run for one in planned}
    found: dict[Run, Path] = {}
    for path in sorted(parent.glob(f"*/{IDENTITY}"), key=lambda path: path.stat().st_mtime):
        try:
            begun = read_identity(path.parent)
        except SettingsError:  # half a file: nothing to go on with
            continue
        run = by_hash.get(begun["protocol_hash"])
        is_it = run is not None and (run.model, run.variant) == (begun["model"], begun["variant"])
        if is_it and is_unfinished(path.parent) and is_free(path.parent):
            found[run] = path.parent
    return found


def run_all(
    runs: list[Run],
    command: list[str],
    results: Path,
    parent: Path,
    seconds: dict,
    begun: dict[Run, Path] | None = None,
    say: Callable[[str], None] = print,
) -> Outcome:
    """Run and keep each; one that fails is reported and left out, an interruption ends them all.

    Each gets its own process: peak memory, thread pools and random state of one cannot touch the
    next, and a crash ends one run only.

    Args:
        command: what a person would run, without model, dataset, seed and run_dir.
        results: the results folder.
        parent: where the run folders go.
        seconds: times of earlier runs, :func:`past_times`; those of these runs are added.
        begun: folders of runs that go on in them, :func:`cut_off`.
        say: takes a line on each run.
    """
    outcome, started = Outcome(), time.monotonic()
    begun = begun or {}
    own: dict[tuple[str, str], list[float]] = {}  # of this machine, so better than the others
    for place, run in enumerate(runs, start=1):
        spent = time.monotonic() - started
        say(f"\n=== {progress(place, runs, spent, seconds | own)} ===")
        if run in begun:
            say(f"It was cut off, and goes on in {begun[run]}.")
        run_dir = begun.get(run) or new_run_dir(parent, run)
        words = [f"--model={run.typed}", f"--dataset={run.dataset}", f"--seed={run.seed}"]
        run_started = time.monotonic()
        try:
            status = run_process([*command, *words, f"--run_dir={run_dir}", "--no_table"])
            if status == 0:
                keep(run_dir, results)
                outcome.kept.add(run)
                own.setdefault((run.dataset, run.label), []).append(time.monotonic() - run_started)
                continue
            why = reason(status, run_dir)
        except SettingsError as error:  # what it left cannot be kept
            why = str(error)
        except NotKept as error:  # nor would those that come after it be
            outcome.failed.append(f"{run} is not kept: {error}")
            break
        except (KeyboardInterrupt, Terminated) as stop:
            outcome.stopped_by = stop
            print(f"\nStopped: {len(outcome.kept)} of {len(runs)} runs finished and are kept.")
            break
        outcome.failed.append(f"{run} failed: {why}")
        print(f"{outcome.failed[-1]}\nThe others go on.", file=sys.stderr, flush=True)
    return outcome
