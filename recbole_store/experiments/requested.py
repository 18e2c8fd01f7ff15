"""What was asked for is done: one run in this process, or a comparison, each run in its own."""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from pathlib import Path

import recbole_store.processes.ranks as ranks
from recbole_store.data.writable import check_can_write
from recbole_store.errors import InputError, RunError, SettingsError
from recbole_store.experiments.comparison import runner
from recbole_store.experiments.comparison.plan import new_run_dir
from recbole_store.experiments.ending import (
    answers,
    as_json,
    comparable,
    compared_shown,
    paths_of_results,
    paths_of_run,
    single_shown,
)
from recbole_store.experiments.last_words import answer_on
from recbole_store.experiments.processes import exit_status
from recbole_store.experiments.request import Request, names_run, profile_for, resolve_all
from recbole_store.experiments.results.kept_run import KeptRun
from recbole_store.experiments.results.results_folder import (
    keep,
    read_runs,
    result_path,
)
from recbole_store.experiments.results.run_key import Run, label_of
from recbole_store.experiments.run.build import check_start
from recbole_store.experiments.run.fingerprint import identity
from recbole_store.experiments.run.logs import QUIET, VERBOSE
from recbole_store.experiments.run.run import run_model
from recbole_store.experiments.run.run_folder import (
    RESULT,
    difference,
)
from recbole_store.settings.property_files import (
    PLUGIN_MODELS,
    model_folders,
    read_properties,
    variant_file,
    variant_name,
)

BYTES_OF_RESULT = 2**20  # that a results folder grows by with a run of many users


def run_single(request: Request) -> int:
    """One run in this process, or in those that torchrun has started; exit status."""
    run, settings, run_dir = ranks.from_first(lambda: _prepared(request))
    if not (request.begun and (run_dir / RESULT).is_file()):  # which has finished
        _run_model(request, run, settings, run_dir)
    if ranks.is_first():
        _keep_and_show(request, run, settings, run_dir)
    return 0


def _prepared(request: Request) -> tuple[Run, dict, Path]:
    """The run with its settings and its folder, once all is checked that can be before it."""
    ((run, settings),) = resolve_all(request).items()
    if ranks.world_size() > 1:
        _check_shared(run, settings)
    if names_run(request.profile) and not run.variant:
        run = replace(run, variant=request.profile)  # another run than the model's by itself
    if request.begun:
        check_same(request, run, settings)
    _beside(request)
    if request.results:
        one = _planned(run, settings)
        runner.check_seeds([one], _kept_runs(request.results), request.replace)
        runner.is_finished(one, request.results, request.replace)
        check_can_write(request.results, "name another folder with --results", BYTES_OF_RESULT)
    return run, settings, request.run_dir or new_run_dir(_parent(settings), run)


def _check_shared(run: Run, settings: dict) -> None:
    """Refuse what cannot be shared out among processes."""
    if run.model not in PLUGIN_MODELS:
        raise SettingsError(
            f"{run.model} is RecBole's own, whose loss cannot be shared out among the "
            f"{ranks.world_size()} processes of torchrun: start one, without torchrun."
        )
    for key in ("enable_scaler", "enable_amp"):
        if settings.get(key):
            raise SettingsError(
                f"`{key}` scales gradients in one process alone: leave it out, or start one "
                "process, without torchrun; `precision` is for both."
            )


def _keep_and_show(request: Request, run: Run, settings: dict, run_dir: Path) -> None:
    beside = _beside(request)
    kept = keep(run_dir, request.results) if request.results else KeptRun.from_run_dir(run_dir)
    if request.json_to:
        said = answer_on(kept, run_dir, comparable([kept], beside))
        verdicts = [said] if said else []
        print(as_json([kept], [paths_of_run(run_dir)], verdicts), file=request.json_to)
    elif request.table:
        data_path = Path(settings.get("data_path", "dataset"))
        single_shown(kept, run_dir, data_path, beside, request.beside)


def _run_model(request: Request, run: Run, settings: dict, run_dir: Path) -> None:
    try:
        run_model(
            run.model,
            run.dataset,
            settings,
            run_dir,
            run.variant,
            request.models,
            is_new=request.run_dir is None,
            again=request.again,
            profile=profile_for(request, run.dataset, (run.model, run.variant_file or run.variant)),
            verbosity=request.verbosity,
            results=request.results,
        )
    except Exception as error:
        # Into the run's log as well: a comparison names it as the place to look.
        if logging.getLogger().handlers:
            is_told = isinstance(error, (InputError, RunError))
            logging.getLogger().error(error, exc_info=None if is_told else error)
        raise


def check_same(request: Request, run: Run, settings: dict) -> None:
    """A run goes on only as what it was begun.

    Raises:
        SettingsError: its data, or the code, are others by now.
    """
    now = identity(run.model, run.dataset, settings, run.variant)
    if now["protocol_hash"] != request.begun["protocol_hash"]:
        raise SettingsError(
            f"{request.run_dir} holds a run of {difference(request.begun, now)}, with which it "
            "cannot go on: begin it anew."
        )


def run_compared(request: Request) -> int:
    """Every run in a process of its own, finished ones skipped; exit status."""
    if request.run_dir:
        raise SettingsError("--run_dir is for a single run; a comparison makes a folder for each.")
    results = request.results or Path("results")
    settings, beside = resolve_all(request), _beside(request)
    planned = {run: _planned(run, of_run) for run, of_run in settings.items()}
    earlier = _kept_runs(results)
    runner.check_seeds(list(planned.values()), earlier, request.replace)
    finished = {
        run for run, one in planned.items() if runner.is_finished(one, results, request.replace)
    }
    skipped = set() if request.again else finished
    to_run = [run for run in settings if run not in skipped]
    n_bytes = BYTES_OF_RESULT * len(to_run)
    check_can_write(results, "name another folder with --results", n_bytes)
    checked = set()
    for run in {(run.dataset, run.label): run for run in reversed(to_run)}.values():
        # RecBole's models of one kind read the data alike.
        own = run.model in PLUGIN_MODELS
        kind = (run.dataset, run.label if own else model_folders()[run.model])
        if kind not in checked:
            check_start(run.model, run.dataset, settings[run])
        checked.add(kind)
        for said in _overruled(run, settings[run]):
            request.say(said)
    for run in settings:
        if run in skipped:
            request.say(f"{run}: finished, {result_path(results, run)}; --again runs it anyway.")

    command = [*runner.PROGRAM, *_passed_on(request)]
    parent = _parent(next(iter(settings.values())))
    cut_off = {} if request.again else runner.cut_off(parent, [planned[run] for run in to_run])
    past = runner.past_times(earlier)
    outcome = runner.run_all(to_run, command, results, parent, past, cut_off, request.say)

    not_made = set(to_run) - outcome.kept
    kept = [
        KeptRun.from_results(result_path(results, run)) for run in settings if run not in not_made
    ]
    if request.json_to:
        verdicts = answers([*kept, *comparable(kept, beside)]) if kept else []
        shown = as_json(kept, paths_of_results(kept, results), verdicts, outcome.failed)
        print(shown, file=request.json_to)
    elif request.table and kept:
        compared_shown(kept, results, beside, request.beside)
    for said in outcome.failed:
        print(said, file=sys.stderr)
    if outcome.stopped_by:
        return exit_status(outcome.stopped_by)
    return int(bool(outcome.failed))


def _kept_runs(folder: Path) -> list[KeptRun]:
    """What a results folder holds; what cannot be read is told of and left out."""
    broken: list[str] = []
    runs = read_runs(folder, broken)
    for said in broken:
        print(f"{said} It is left out.", file=sys.stderr)
    return runs


def _planned(run: Run, settings: dict) -> runner.Planned:
    if settings.get("validation_gap"):
        raise SettingsError(
            "`validation_gap` is for choosing settings, and its runs see less than others: they "
            "are not kept in a results folder. Use it in a single run, or in "
            "`recbole-store tune`."
        )
    said = identity(run.model, run.dataset, settings)
    return runner.Planned(
        run,
        said["protocol_hash"],
        said["hashed_settings"],
        said["data_sha256"],
        said["model_sha256"],
        said["result_version"],
    )


def _parent(settings: dict) -> Path:
    return Path(settings.get("checkpoint_dir", "saved"))


def _passed_on(request: Request) -> list[str]:
    """What every run of a comparison is told alike; its seed is set apart."""
    words = [f"--{key}={text}" for key, text in request.typed.items() if key != "seed"]
    words += [f"--compared_with={','.join(request.models)}"]
    words += [f"--config_files={path}" for path in request.files]
    words += {QUIET: ["-q"], VERBOSE: ["-v"]}.get(request.verbosity, [])
    return words + ([f"--profile={request.profile}"] if request.profile else [])


def _overruled(run: Run, settings: dict) -> list[str]:
    """Sentences about keys of a variant that the user's own settings changed."""
    name = run.variant_file or run.variant
    variant = read_properties(variant_file(run.model, name)) if name else {}
    return [
        f"{run.label} on {run.dataset}: your `{key}` is {settings[key]!r}, the variant's {value!r}."
        for key, value in variant.items()
        if settings[key] != value
    ]


def _beside(request: Request) -> list[KeptRun]:
    """Kept runs of other labels on the same data sets.

    A model by itself stands beside other models, and not beside its own ablations.
    """
    if not request.beside:
        return []
    if not request.beside.is_dir():
        raise SettingsError(f"--beside={request.beside}: there is no such folder.")
    by_profile = request.profile if names_run(request.profile) else ""
    if request.begun:  # whose label is in its folder
        by_profile = (request.begun.get("profile") or {}).get("name", "")
    labels = {label_of(model, variant_name(model, v) or by_profile) for model, v in request.labels}
    plain = {model for model, variant in request.labels if variant in ("", by_profile)}
    runs = [r for r in _kept_runs(request.beside) if r.run.dataset in request.datasets]
    return [
        r for r in runs if r.label not in labels and not (r.run.variant and r.run.model in plain)
    ]
