"""One model on one dataset, from settings to ``result.json``.

RecBole's quick start does the same steps, but imports ray and evaluates strings from the command
line; this route does neither.
"""

from __future__ import annotations

import json
import logging
import resource
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from pandas.errors import ParserError
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import ModelType, get_model, get_trainer, init_seed

from recbole_store.bad_input import BAD_INPUT
from recbole_store.cold_evaluation import test_cold
from recbole_store.cold_items import histories_without_cold
from recbole_store.environment import git_commit, hardware, keep_freed_memory, versions
from recbole_store.evaluation import test_model
from recbole_store.llm import read_config
from recbole_store.property_files import TOKENIZED_MODELS, SettingsError
from recbole_store.protocol import identity
from recbole_store.ranked_lists import (
    Popularity,
    example_histories,
    write_items,
    write_lists,
)
from recbole_store.run_log import EpochLog, quiet_libraries, start_logging
from recbole_store.text_embeddings import text_width
from recbole_store.tokenizer.quantizer import TEXT_EMBEDDING
from recbole_store.tokenizer.quantizers import QUANTIZERS

log = logging.getLogger(__name__)


class CheckedConfig(Config):
    """RecBole's Config for settings that were read and checked already: it evaluates no strings."""

    def _load_cmd_line(self):
        return {}

    def _convert_config_dict(self, config_dict):
        return config_dict


REFUSALS = (
    *(ValueError, KeyError, TypeError, AttributeError, IndexError, AssertionError),
    *(ImportError, NotImplementedError, RuntimeError),
)


@contextmanager
def recbole_refusals(model_name: str, dataset_name: str):
    """Turn what RecBole raises over settings and data, before any training, into one sentence.

    Raises:
        SettingsError: RecBole refused; the traceback is in the run's log.
    """
    try:
        yield
    except BAD_INPUT:
        raise
    except REFUSALS as error:
        logging.getLogger().info("RecBole refused the settings or the data.", exc_info=True)
        said = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, ParserError):
            said += f"; `recbole-store check {dataset_name}` says what in its files is in the way"
        raise SettingsError(
            f"RecBole cannot start {model_name} on {dataset_name}: {said}"
        ) from error


def build(model_name: str, dataset_name: str, settings: dict):
    """Config and filtered dataset of a run.

    Raises:
        SettingsError: RecBole refuses the settings, or the dataset under them.
    """
    argv, sys.argv = sys.argv, sys.argv[:1]  # Config warns about arguments that are not its own
    try:
        with recbole_refusals(model_name, dataset_name):
            config = CheckedConfig(
                model=model_name, dataset=dataset_name, config_dict=dict(settings)
            )
            init_seed(config["seed"], config["reproducibility"])
            return config, create_dataset(config)
    finally:
        sys.argv = argv


def check_start(model_name: str, dataset_name: str, settings: dict) -> None:
    """Find out whether a run can start: its settings, data, splits, and LLM or text encoder.

    Raises:
        one of BAD_INPUT.
    """
    quiet_libraries()
    config, dataset = build(model_name, dataset_name, settings)
    with recbole_refusals(model_name, dataset_name):
        data_preparation(config, dataset)
    if config["backbone"]:
        read_config(config["backbone"], config["backbone_layers"])
    if model_name in TOKENIZED_MODELS and QUANTIZERS[config["tokenizer"]].reads == TEXT_EMBEDDING:
        text_width(config["text_encoder"])


def run_model(
    model_name: str, dataset_name: str, settings: dict, run_dir: Path, variant: str = ""
) -> dict:
    """Train, validate and test one model; the result also goes to ``run_dir/result.json``.

    Args:
        settings: as resolved by :func:`recbole_store.settings.resolve`.
        variant: the name under which these settings are known.

    Returns:
        The content of result.json.
    """
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"Cannot make the run's folder {run_dir}: {error.strerror}.") from error
    start_logging(run_dir / f"{run_dir.name}.log")
    keep_freed_memory()
    settings = {**settings, "checkpoint_dir": str(run_dir)}
    settings.setdefault("show_progress", sys.stderr.isatty())
    started = time.perf_counter()
    commit = git_commit()  # now: the checkout may move on while a long run goes on
    run_identity = identity(model_name, dataset_name, settings, variant)

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
    with recbole_refusals(model_name, dataset_name):
        train_data, valid_data, test_data = data_preparation(config, dataset)
    if config["cold_items"]:
        example_users, histories = histories_without_cold(
            example_users, histories, test_data._dataset
        )
    # Set again, as RecBole does, so that the model's start does not depend on the data's.
    init_seed(config["seed"], config["reproducibility"])
    model = get_model(model_name)(config, train_data._dataset).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], model_name)(config, model)
    epochs = EpochLog(trainer)

    fit_s = fit(trainer, train_data, valid_data, config)
    cold = test_cold(trainer, test_data, config) if config["cold_items"] else None
    tested = test_model(trainer, test_data, config, best=cold is None)
    if tested.lists:
        popularity.take_off(valid_data._dataset, test_data._dataset)
        write_lists(run_dir / "ranked.npz", dataset, popularity, tested.lists)
        if "LS" in config["eval_args"]["split"]:
            np.savez_compressed(run_dir / "histories.npz", users=example_users, histories=histories)

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
            "epochs": len(epochs.epochs),
            "epoch_s": _mean([row["train_s"] for row in epochs.epochs]),
            "valid_s": _mean([row["valid_s"] for row in epochs.epochs if "valid_s" in row]),
            "test_s": tested.own_seconds,
            "total_s": time.perf_counter() - started,
        },
        "sizes": {
            "parameters": sum(p.numel() for p in parameters),
            "trained_parameters": getattr(model, "trained_parameters", None)
            or sum(p.numel() for p in parameters if p.requires_grad),
            "peak_memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        },
        "curve": epochs.epochs,
        # Where the data lie is the machine's own affair; their checksums say which they are.
        "settings": {key: config[key] for key in sorted(settings) if key != "data_path"},
        "versions": versions(),
        "hardware": hardware(config["device"]),
        "git_commit": commit,
        "run_dir": str(run_dir),
    }
    if hasattr(model, "points"):
        write_items(run_dir / "items.npz", dataset, model)
    if hasattr(model, "report"):
        result["store"] = model.report()
    (run_dir / "result.json").write_text(json.dumps(result, indent=1, default=str) + "\n")
    return result


class _HoursSpent(Exception):
    """The next evaluation would come after ``max_hours``."""


def fit(trainer, train_data, valid_data, config) -> float:
    """Train to early stopping, ``epochs`` or ``max_hours``; seconds that it took.

    A tokenizer from the cache counts with the time that it took once, so that the hours buy as
    many epochs whatever ran before.
    """
    started, trained_s = time.perf_counter(), 0.0

    def stop_in_time(epoch_idx, valid_score):
        nonlocal trained_s
        spent_s = time.perf_counter() - started + cached_seconds(trainer.model)
        before_s, trained_s = trained_s, spent_s - tokenizer_seconds(trainer.model)
        # The next evaluation will take as long to come as this one did.
        if spent_s + trained_s - before_s > config["max_hours"] * 3600:
            raise _HoursSpent

    limit = {} if config["max_hours"] is None else {"callback_fn": stop_in_time}
    try:
        trainer.fit(
            train_data,
            valid_data,
            verbose=False,
            show_progress=config["show_progress"],
            **limit,
        )
    except _HoursSpent:  # the best epoch so far is saved already
        log.info(
            "Stopped: the next evaluation would come after `max_hours` (%s).", config["max_hours"]
        )
    return time.perf_counter() - started + cached_seconds(trainer.model)


def tokenizer_seconds(model) -> float:
    """What the tokenizer stage took when it was run, now or earlier; 0 for a model without one."""
    return getattr(model, "tokenizer_report", {}).get("tokenizer_s", 0.0)


def cached_seconds(model) -> float:
    """The same of a tokenizer from the cache; 0 where it was trained just now."""
    is_cached = getattr(model, "tokenizer_report", {}).get("tokenizer_cached")
    return tokenizer_seconds(model) if is_cached else 0.0


def converged(trainer, config) -> bool:
    """Whether more training would have changed nothing: early stopping ended it, or it counts."""
    return config["MODEL_TYPE"] == ModelType.TRADITIONAL or trainer.cur_step > trainer.stopping_step


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
