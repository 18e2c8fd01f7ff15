"""One trial: settings, judged on validation alone, by a training or on a trained model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import yaml

from recbole_store.errors import RunError, SettingsError
from recbole_store.experiments.comparison.plan import parse_labels
from recbole_store.experiments.processes import PROGRAM, reason, run_process
from recbole_store.experiments.results.trial_file import score
from recbole_store.experiments.run.run_folder import STATES
from recbole_store.plugin.profiles.auto import profile_of
from recbole_store.settings.property_files import variant_name

# What changes how a trained model's scores rank items, and in training only which epoch is best.
RANKING_KEYS = {
    *("item_head_share", "last_item_weight", "together_weight", "likeness_weight"),
    *("num_beams", "decoding"),
}


def run_trial(
    model: str,
    dataset: str,
    settings: dict,
    passed_on: list[str],
    run_dir: Path,
    is_hopeless: Callable[[dict[int, float]], bool] | None = None,
) -> dict | None:
    """One trial in a process of its own; where it was cut off, it goes on.

    Args:
        run_dir: of the run, gone once it has finished.
        is_hopeless: asked with the valid metric of each evaluated epoch so far.

    Returns:
        None for a trial that was hopeless, else
        ``settings``, ``conditions`` (what else was typed), ``valid`` (metrics of the best epoch),
        ``valid_metric``, ``scores`` (that metric after each evaluation), ``epochs``,
        ``best_epoch``, ``fit_s``, ``seed``, ``protocol_hash``, ``git_commit``. Test metrics are
        left out: they may choose nothing.

    Raises:
        RunError: the run failed; the message has its log's last lines.
    """
    typed = [f"--{key}={text}" for key, text in told(settings, passed_on).items()]
    command = [*PROGRAM, f"--model={model}", f"--dataset={dataset}"]
    command += [f"--run_dir={run_dir}", "--no_table", *typed]
    if not (run_dir / STATES).is_dir():
        shutil.rmtree(run_dir, ignore_errors=True)  # of a trial that ended before it began
    else:
        command = [*PROGRAM, f"--resume={run_dir}", "--no_table"]

    from recbole_store.experiments.run.epoch_log import scores_in

    def is_enough() -> bool:
        log = run_dir / f"{run_dir.name}.log"
        said = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
        return is_hopeless(scores_in(said))

    status = run_process(command, is_enough if is_hopeless else None)
    if status:
        raise RunError(reason(status, run_dir))
    result = None
    if status is not None:
        result = json.loads((run_dir / "result.json").read_text(encoding="utf-8"))
    shutil.rmtree(run_dir, ignore_errors=True)
    return None if result is None else outcome(settings, passed_on, result)


def as_typed(settings: dict) -> dict[str, str]:
    """Values as one would type them; texts are typed as they are.

    Example: {"epochs": None, "topk": [1, 5]} -> {"epochs": "null", "topk": "[1, 5]"}
    """

    def text_of(value) -> str:
        if isinstance(value, str):
            return value
        dumped = yaml.safe_dump(value, default_flow_style=True, width=float("inf"))
        return dumped.removesuffix("\n").removesuffix("\n...")

    return {key: text_of(value) for key, value in settings.items()}


def told(settings: dict, passed_on: list[str]) -> dict[str, str]:
    """All that a run is told, as keys and texts; what a trial sets wins.

    Example: {"dropout": 0.5}, ["--epochs=3"] -> {"epochs": "3", "dropout": "0.5"}
    """
    typed = dict(word.removeprefix("--").split("=", 1) for word in passed_on)
    return {**typed, **as_typed(settings)}


def resolved(label: str, dataset: str, settings: dict, passed_on: list[str]) -> dict:
    """A trial's settings as its run has them.

    Raises:
        SettingsError: they are wrong.
    """
    from recbole_store.settings.resolve import resolve

    ((model, variant),) = parse_labels(label)
    typed = told(settings, passed_on)
    files = [Path(typed.pop("config_files"))] if "config_files" in typed else []
    name = typed.pop("profile", None)
    profile = profile_of(name, (model, variant), dataset, files, typed, [model])
    return resolve(model, dataset, files, typed, profile=profile, variant=variant)


def rank_trial(
    label: str, dataset: str, settings: dict, passed_on: list[str], run_dir: Path
) -> dict:
    """One trial on the checkpoint of a finished run with the label's own settings.

    Returns:
        as :func:`run_trial`; ``scores`` is the trial's own, of the epoch that the run had chosen,
        and ``ranked_again`` is true.
    """
    from recbole_store.experiments.rerank import rank_again
    from recbole_store.experiments.run.machine import (
        git_commit,  # these bring torch and RecBole: seconds
    )

    ((model, _),) = parse_labels(label)
    own, others = (resolved(label, dataset, keys, passed_on) for keys in ({}, settings))
    result, valid = rank_again(model, dataset, own, others, run_dir)
    found = {**outcome(settings, passed_on, result), "valid": valid, "git_commit": git_commit()}
    found["protocol_hash"] = hash_of(label, dataset, settings, passed_on)
    return {**found, "scores": [score(found)], "ranked_again": True}


def hash_of(label: str, dataset: str, settings: dict, passed_on: list[str]) -> str:
    """The protocol hash that a run with a trial's settings has today.

    Raises:
        SettingsError: they are wrong, or there is no such data set.
    """
    from recbole_store.experiments.run.fingerprint import protocol_hash

    ((model, _),) = parse_labels(label)
    return protocol_hash(model, dataset, resolved(label, dataset, settings, passed_on))


def outcome(settings: dict, passed_on: list[str], result: dict) -> dict:
    """What is kept of a trial's ``result.json``; see :func:`run_trial`."""
    best = [row["epoch"] for row in result["curve"] if row.get("valid") == result["valid"]]
    return {
        "settings": settings,
        "conditions": conditions(passed_on),
        "git_commit": result["git_commit"],
        "valid": result["valid"],
        "valid_metric": result["valid_metric"].lower(),
        "scores": [row["valid_score"] for row in result["curve"] if "valid_score" in row],
        "epochs": result["times"]["epochs"],
        "best_epoch": best[-1],
        "fit_s": result["times"]["fit_s"],
        "seed": result["seed"],
        "protocol_hash": result["protocol_hash"],
    }


def conditions(passed_on: list[str]) -> list[str]:
    """What was typed for all trials alike, in one order, but for where the data lie.

    Raises:
        SettingsError: a word is not ``--key=value``.
    """
    for word in passed_on:
        if not word.startswith("--") or "=" not in word:
            raise SettingsError(f"`{word}` is not understood: write settings as --key=value.")
    return sorted(word for word in passed_on if not word.startswith("--data_path="))


def chosen(listed: list[dict], only: str | None) -> dict[int, dict]:
    """Trials by their numbers, all if None.

    Example: [a, b, c], "1,3" -> {1: a, 3: c}

    Raises:
        SettingsError: one is no number of the list.
    """
    known = dict(enumerate(listed, start=1))
    if only is None:
        return known
    numbers = [int(word) if word.isdecimal() else word for word in only.split(",")]
    unknown = [number for number in numbers if number not in known]
    if unknown:
        raise SettingsError(f"--only={only}: `{unknown[0]}` is none of 1 to {len(listed)}.")
    return {number: known[number] for number in numbers}


def stem_of(label: str) -> str:
    """What a label's files are called.

    Example: ``TIGER:small`` -> ``TIGER-small``, ``TIGER:my/wide.yaml`` -> ``TIGER-wide``

    Raises:
        SettingsError: it is not one label.
    """
    labels = parse_labels(label)
    if len(labels) > 1:
        raise SettingsError(f"--model={label}: trials are of one model.")
    model, variant = labels[0]
    return "-".join(filter(None, (model, variant_name(model, variant))))
