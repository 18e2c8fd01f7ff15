"""One model on one dataset, from settings to ``result.json``.

RecBole's quick start does the same steps, but imports ray and evaluates strings from the command
line; this route does neither.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from recbole.data.dataloader import FullSortEvalDataLoader
from recbole.utils import get_model, get_trainer, init_seed

import recbole_store.processes.ranks as ranks
from recbole_store.data.writable import check_can_write
from recbole_store.errors import ModelFolderError
from recbole_store.experiments.results.results_folder import replace_file
from recbole_store.experiments.run.build import build, recbole_refusals, split
from recbole_store.experiments.run.continuation import Continuation, clear
from recbole_store.experiments.run.evaluate import say_popular, test_model
from recbole_store.experiments.run.evaluate_cold import test_cold
from recbole_store.experiments.run.fingerprint import identity
from recbole_store.experiments.run.fit import converged, fit
from recbole_store.experiments.run.logs import NORMAL, QUIET, start_logging
from recbole_store.experiments.run.machine import (
    git_commit,
    hardware,
    keep_freed_memory,
    peak_memory_gb,
    versions,
)
from recbole_store.experiments.run.ranked_lists import (
    Popularity,
    example_histories,
    ranks_by_popularity,
    write_items,
    write_lists,
)
from recbole_store.experiments.run.run_folder import (
    RESULT,
    TENSORBOARD,
    bytes_of_run,
    can_go_on,
    disk_errors,
    opened,
    write_identity,
)
from recbole_store.experiments.run.run_status import RunStatus
from recbole_store.plugin.cold_items import histories_without_cold
from recbole_store.plugin.diary import diary_in
from recbole_store.plugin.register import register
from recbole_store.processes.status import Status
from recbole_store.recommender.finished_run import write_model
from recbole_store.recommender.folder import RECOMMENDERS
from recbole_store.settings.profile import Profile

register()  # the command line imports the package without

log = logging.getLogger(__name__)

# What writes things that one process alone is to write.
_OF_THE_FIRST = ("save_dataset", "save_dataloaders", "log_wandb")


def run_model(
    model_name: str,
    dataset_name: str,
    settings: dict,
    run_dir: Path,
    variant: str = "",
    models: Sequence[str] = (),
    is_new: bool = False,
    again: bool = False,
    profile: Profile | None = None,
    verbosity: str = NORMAL,
    results: Path | None = None,
) -> dict:
    """Train, validate and test one model; the result also goes to ``run_dir/result.json``.

    A run that was cut off in this very folder goes on from where it was.

    Args:
        settings: as resolved by :func:`recbole_store.settings.resolve.resolve`.
        variant: the name under which these settings are known.
        models: of the comparison, whose keys the settings may hold.
        is_new: whether the folder was made for this run, and goes if the run is refused.
        again: whether to begin anew, whatever the folder holds.
        profile: that the settings are by; the log and result.json say so.
        verbosity: how much the console is told, see :mod:`recbole_store.experiments.run.logs`.
        results: the results folder that whoever calls keeps the run in; one that is cut off tells
            whoever goes on with it.

    Returns:
        The content of result.json.

    Raises:
        InputError: the run cannot start.
        RunError: it broke after it had begun.
    """
    with opened(run_dir, is_new):
        start_logging(run_dir / f"{run_dir.name}.log", verbosity)
        if ranks.world_size() > 1:
            log.info("world_size %d", ranks.world_size())
        found = identity(model_name, dataset_name, settings, variant)
        known = {
            "model": model_name,
            "dataset": dataset_name,
            "models": list(models) or [model_name],
            "results": str(results.resolve()) if results else None,
        }

        def begin() -> dict | None:
            kept = profile.kept(settings) if profile else None
            if again or not can_go_on(run_dir, found):
                clear(run_dir)
                (run_dir / RESULT).unlink(missing_ok=True)
            write_identity(run_dir, known | found | {"profile": kept}, settings)
            return kept

        if kept := ranks.from_first(begin):
            found["profile"] = kept
        for line in profile.told(settings) if profile else []:
            log.info(line)
        with disk_errors(run_dir):
            is_shown = settings.get("show_progress", True) and verbosity != QUIET
            status = Status(is_shown and ranks.is_first())
            with closing(status):
                return _run(model_name, dataset_name, settings, run_dir, found, status)


def _run(
    model_name: str,
    dataset_name: str,
    settings: dict,
    run_dir: Path,
    run_identity: dict,
    status: Status,
) -> dict:
    keep_freed_memory()
    settings = {**settings, "checkpoint_dir": str(run_dir)}
    if ranks.world_size() > 1:
        settings["gpu_id"] = ranks.gpu_of(settings.get("gpu_id", "0"))
    if not ranks.is_first():
        settings |= dict.fromkeys(_OF_THE_FIRST, False)
    started = time.perf_counter()
    commit = git_commit()  # now: the checkout may move on while a long run goes on

    config, dataset = build(model_name, dataset_name, settings)
    logging.getLogger().info(config)
    log.info(
        "%s on %s: %d users, %d items, %d interactions; seed %d",
        model_name,
        dataset_name,
        dataset.user_num - 1,
        dataset.item_num - 1,
        dataset.inter_num,
        config["seed"],
    )
    # Now, before the splits change the data set:
    n_interactions = dataset.inter_num
    popularity = Popularity(dataset)
    example_users, histories = example_histories(dataset)
    train_data, valid_data, test_data = split(model_name, config, dataset)
    if config["cold_items"]:
        example_users, histories = histories_without_cold(
            example_users, histories, test_data._dataset
        )
    if isinstance(test_data, FullSortEvalDataLoader):
        popularity.take_off(valid_data._dataset, test_data._dataset)
        say_popular(valid_data, popularity, config)
    # Set again, as RecBole does, so that the model's start does not depend on the data's.
    init_seed(config["seed"], config["reproducibility"])
    with recbole_refusals(model_name, dataset_name):
        model = get_model(model_name)(config, train_data._dataset).to(config["device"])
    if ranks.is_first():
        check_can_write(run_dir, "name another folder with --run_dir", bytes_of_run(model))
    with diary_in(run_dir / TENSORBOARD, config["log_mlflow"]):
        trainer = get_trainer(config["MODEL_TYPE"], model_name)(config, model)
    shown = RunStatus(status, trainer, train_data, valid_data)
    continuation = Continuation(trainer, run_dir, config["checkpoint_minutes"])
    epochs = continuation.epochs.epochs

    continuation.find()
    fit_s = fit(continuation, train_data, valid_data, config)
    shown.testing = True
    cold = test_cold(trainer, valid_data, test_data, config) if config["cold_items"] else None
    tested = test_model(trainer, test_data, config, best=cold is None)
    if tested.lists and ranks.is_first():
        by_popularity = None
        if cold is None:
            counts, users = popularity.items, config["USER_ID_FIELD"]
            by_popularity = ranks_by_popularity(test_data, counts, users)
        write_lists(run_dir / "ranked.npz", dataset, popularity, tested.lists, by_popularity)
        if "LS" in config["eval_args"]["split"]:
            np.savez_compressed(run_dir / "histories.npz", users=example_users, histories=histories)

    for name, value in tested.own.items():
        trainer.tensorboard.add_scalar(f"Test/{name}", value, len(epochs))
    parameters = list(model.parameters())
    result = {
        "model": model_name,
        "dataset": dataset_name,
        "seed": config["seed"],
        **run_identity,
        "valid_metric": config["valid_metric"],
        "valid": dict(trainer.best_valid_result or {}),
        "test": tested.own,
        "tests": tested.metrics,
        "cold": cold,
        "certain_topk": tested.certain,
        "converged": converged(trainer, config),
        "protocol": {
            "eval_args": config["eval_args"],
            "repeatable": config["repeatable"],
            "filter_history": config["filter_history"],
            "exact_time_order": config["exact_time_order"],
            "max_item_list_length": config["MAX_ITEM_LIST_LENGTH"],
            "n_users": dataset.user_num - 1,
            "n_items": dataset.item_num - 1,
            "n_interactions": n_interactions,
            "n_test": len(test_data._dataset),
        },
        "times": {
            "fit_s": fit_s,
            "epochs": len(epochs),
            "epoch_s": _mean([row["train_s"] for row in epochs]),
            "valid_s": _mean([row["valid_s"] for row in epochs if "valid_s" in row]),
            "test_s": tested.own_seconds,
            "total_s": continuation.spent_before_s + time.perf_counter() - started,
        },
        "sizes": {
            "parameters": sum(p.numel() for p in parameters),
            "trained_parameters": getattr(model, "trained_parameters", None)
            or sum(p.numel() for p in parameters if p.requires_grad),
            "peak_memory_gb": peak_memory_gb(),
        },
        "curve": epochs,
        # Where the data lie is the machine's own affair; their checksums say which they are.
        "settings": {key: config[key] for key in sorted(settings) if key != "data_path"},
        "versions": versions(),
        "hardware": hardware(config["device"]),
        "git_commit": commit,
        "run_dir": str(run_dir),
    }
    if not ranks.is_first():
        return result
    if hasattr(model, "points"):
        write_items(run_dir / "items.npz", dataset, model)
    if hasattr(model, "report"):
        result["store"] = model.report()
    if model_name in RECOMMENDERS:
        try:
            write_model(run_dir / "model", model, train_data._dataset, config, result)
        except ModelFolderError as error:  # what was measured is not lost with it
            log.error("The run has no model/: %s", error)
    text = json.dumps(result, indent=1, default=as_json) + "\n"
    continuation.keep_best()
    replace_file(run_dir / RESULT, text.encode())
    clear(run_dir)  # what a run would go on from that is over now
    return result


def as_json(value):
    """Numbers of numpy and torch, as some metrics are, as numbers; anything else as its text."""
    return value.item() if hasattr(value, "item") and np.ndim(value) == 0 else str(value)


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
