"""Hyper-parameter trials: a list of settings, each judged on validation alone.

``recbole-store trials --model=SASRecAll --dataset=ml-100k`` runs what
``properties/trials/SASRecAll.yaml`` lists and keeps each outcome in
``results/trials/ml-100k/SASRecAll.json``; what stands there already is not run again, unless the
model's other settings, the data or the versions are not what they were. Settings that change the
ranking alone need no training of their own: with ``--trained=RUN_DIR``, the folder of a finished
run, its checkpoint is validated under each of them, and other trials are left alone.
"""

from __future__ import annotations

import json
import sys
import tempfile
from functools import partial
from pathlib import Path

import yaml

from recbole_store.errors import InputError, RunError, SettingsError
from recbole_store.experiments.comparison.plan import parse_labels
from recbole_store.experiments.processes import (
    PROGRAM,
    Terminated,
    exit_status,
    reason,
    run_process,
    terminating,
)
from recbole_store.experiments.results.results_folder import replace_file
from recbole_store.experiments.results.trial_file import read_trials, score
from recbole_store.settings.arguments import Parser
from recbole_store.settings.property_files import (
    profile_file,
    properties_folder,
    read_list,
    variant_name,
)

# What changes how a trained model's scores rank items, and in training only which epoch is best.
RANKING_KEYS = {"item_head_share", "last_item_weight", "num_beams", "decoding"}


def run_trial(model: str, dataset: str, settings: dict, passed_on: list[str]) -> dict:
    """One trial in a process of its own.

    Returns:
        ``settings``, ``conditions`` (what else was typed), ``valid`` (metrics of the best epoch),
        ``valid_metric``, ``scores`` (that metric after each evaluation), ``epochs``,
        ``best_epoch``, ``fit_s``, ``seed``, ``protocol_hash``, ``git_commit``. Test metrics are
        left out: they may choose nothing.

    Raises:
        RunError: the run failed; the message has its log's last lines.
    """
    typed = [f"--{key}={text}" for key, text in told(settings, passed_on).items()]
    with tempfile.TemporaryDirectory() as run_dir:
        command = [*PROGRAM, f"--model={model}", f"--dataset={dataset}"]
        command += [f"--run_dir={run_dir}", "--no_table", *typed]
        if status := run_process(command):
            raise RunError(reason(status, Path(run_dir)))
        result = json.loads((Path(run_dir) / "result.json").read_text(encoding="utf-8"))
    return outcome(settings, passed_on, result)


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
    profile = profile_file(typed.pop("profile")) if "profile" in typed else None
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


def parser() -> Parser:
    """``trials --model=MODEL``; other words are settings of all trials."""
    p = Parser(
        prog="recbole-store trials",
        description="Judge a list of settings on validation metrics; --key=value holds for all.",
        allow_abbrev=False,
    )
    p.add_argument("--model", required=True)
    p.add_argument("--dataset", default="ml-100k")
    p.add_argument("--results", type=Path, default=Path("results"))
    p.add_argument(
        "--trained", type=Path, help="folder of a run; judges the listed rankings on its checkpoint"
    )
    p.add_argument(
        "--list",
        type=Path,
        metavar="FILE",
        help="a YAML list of settings of your own (properties/trials/MODEL-VARIANT.yaml)",
    )
    p.add_argument("--only", help="numbers in the list, from 1 (all): --only=1,3")
    return p


def main(argv: list[str] | None = None) -> int:
    """Returns the exit status: 0 done, 1 a trial failed, 2 bad input, 130 or 143 interrupted."""
    arguments, passed_on = parser().parse_known_args(argv)
    try:
        stem = stem_of(arguments.model)
        path = arguments.list or properties_folder() / "trials" / f"{stem}.yaml"
        listed = chosen(read_list(path), arguments.only)
        if arguments.trained:
            listed = {n: keys for n, keys in listed.items() if keys.keys() <= RANKING_KEYS}
            if not listed:
                raise SettingsError(f"{path}: none of these trials changes the ranking alone.")
        kept = arguments.results / "trials" / arguments.dataset / f"{stem}.json"
        trials = read_trials(kept)
        terms = conditions(passed_on)
        which = (arguments.model, arguments.dataset)
        hashes = {n: hash_of(*which, keys, passed_on) for n, keys in listed.items()}
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2

    def found(number: int) -> list[dict]:
        """Trials of the same settings and conditions, whatever else was another."""
        same = [t for t in trials if t["settings"] == listed[number]]
        return [t for t in same if sorted(t["conditions"]) == terms]

    def is_done(number: int) -> bool:
        return any(t.get("protocol_hash") == hashes[number] for t in found(number))

    judge = run_trial
    if arguments.trained:
        judge = partial(rank_trial, run_dir=arguments.trained)
    for number, settings in listed.items():
        if is_done(number):
            continue
        print(f"\n=== {arguments.model}, trial {number}: {settings} ===", flush=True)
        try:
            with terminating():
                trial = judge(*which, settings, passed_on)
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        except RunError as error:
            print(f"Trial {number} failed: {error}\nThe others go on.", file=sys.stderr)
            continue
        except (KeyboardInterrupt, Terminated) as stop:
            print(f"\nStopped: {sum(map(is_done, listed))} of {len(listed)} trials are kept.")
            return exit_status(stop)
        outdated = found(number)
        trials = [t for t in trials if t not in outdated] + [trial]
        kept.parent.mkdir(parents=True, exist_ok=True)
        replace_file(kept, (json.dumps(trials, indent=1) + "\n").encode())
    done = [trial for number in listed if is_done(number) for trial in found(number)]
    for trial in sorted(done, key=score, reverse=True):
        how = ", ranked again" if trial.get("ranked_again") else ""
        print(f"{score(trial):.4f}  {trial['epochs']:3d} epochs  {trial['settings']}{how}")
    return 0 if all(map(is_done, listed)) else 1


if __name__ == "__main__":
    sys.exit(main())
