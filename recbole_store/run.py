"""One model on one dataset, from settings to ``result.json``.

RecBole's quick start does the same steps, but imports ray and evaluates strings from the command
line; this route does neither.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import json
import logging
import os
import platform
import resource
import subprocess
import sys
import time
import warnings
from contextlib import contextmanager
from pathlib import Path

import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_seed

from recbole_store.bad_input import BAD_INPUT
from recbole_store.llm import read_config
from recbole_store.settings import PLUGIN_MODELS, SettingsError

log = logging.getLogger(__name__)

VERSIONS_OF = ("recbole", "torch", "transformers", "peft", "numpy", "pandas", "scikit-learn")


class CheckedConfig(Config):
    """RecBole's Config for settings that were read and checked already: it evaluates no strings."""

    def _load_cmd_line(self):
        return {}

    def _convert_config_dict(self, config_dict):
        return config_dict


class EpochLog:
    """Times a trainer's epochs, keeps the learning curve, and prints one line an epoch."""

    def __init__(self, trainer):
        self.epochs: list[dict] = []
        self._trainer, self._metric = trainer, trainer.valid_metric
        if hasattr(trainer, "_train_epoch"):  # RecBole's tree models train all at once
            self._train_epoch, self._valid_epoch = trainer._train_epoch, trainer._valid_epoch
            trainer._train_epoch, trainer._valid_epoch = self._train, self._valid

    def _train(self, train_data, epoch_idx, *args, **kwargs):
        start = time.perf_counter()
        loss = self._train_epoch(train_data, epoch_idx, *args, **kwargs)
        seconds = time.perf_counter() - start
        parts = loss if isinstance(loss, tuple) else (loss,)
        means = [part / max(len(train_data), 1) for part in parts]
        self.epochs.append({"epoch": epoch_idx, "train_s": seconds, "losses": means})
        return loss

    def _valid(self, *args, **kwargs):
        start = time.perf_counter()
        score, result = self._valid_epoch(*args, **kwargs)
        best = self._trainer.best_valid_score
        is_best = score >= best if self._trainer.valid_metric_bigger else score <= best
        row = self.epochs[-1]
        row.update(valid_s=time.perf_counter() - start, valid_score=score, valid=dict(result))
        log.info(
            "epoch %3d   loss %s   %s %.4f%s   train %.0f s, evaluation %.0f s",
            row["epoch"],
            " + ".join(f"{loss:.4f}" for loss in row["losses"]),
            self._metric,
            score,
            "  best so far" if is_best else "",
            row["train_s"],
            row["valid_s"],
        )
        return score, result


def start_logging(log_file: Path) -> None:
    """Log to the console for a person, and to a file with times; keep libraries' chatter out."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    console = logging.StreamHandler(sys.stdout)
    console.setFormatter(logging.Formatter("%(message)s"))
    console.addFilter(lambda record: record.name.startswith("recbole_store"))
    file = logging.FileHandler(log_file, encoding="utf-8")
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    root.setLevel(logging.INFO)
    for handler in (console, file):
        root.addHandler(handler)
    quiet_libraries()


def quiet_libraries() -> None:
    """Keep warnings out that say nothing to the person who runs a model."""
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.NullHandler())
    # On every run RecBole fills columns in ways that pandas 2 warns about, and torch reminds of
    # the checkpoints it is allowed to load.
    warnings.filterwarnings("ignore", module=r"recbole\.")
    for name in ("transformers", "huggingface_hub", "peft", "accelerate"):
        logging.getLogger(name).setLevel(logging.ERROR)


def keep_freed_memory() -> None:
    """Let malloc keep what tensors free instead of returning it to the system.

    Training frees and allocates the same large blocks at every step; mapping them anew costs a
    page fault for each 4 KB, measured as 40% of SASRec's training time on a CPU. Linux only.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            m_trim_threshold, m_top_pad, m_mmap_max = -1, -2, -4  # names in <malloc.h>
            libc.mallopt(m_mmap_max, 0)
            libc.mallopt(m_trim_threshold, 2**31 - 1)
            libc.mallopt(m_top_pad, 2**26)


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
    """Find out whether a run can start: its settings, data, splits and, for STORE, its LLM.

    Raises:
        one of BAD_INPUT.
    """
    quiet_libraries()
    config, dataset = build(model_name, dataset_name, settings)
    with recbole_refusals(model_name, dataset_name):
        data_preparation(config, dataset)
    if model_name in PLUGIN_MODELS:
        read_config(config["backbone"], config["backbone_layers"])


def run_model(model_name: str, dataset_name: str, settings: dict, run_dir: Path) -> dict:
    """Train, validate and test one model; the result also goes to ``run_dir/result.json``.

    Args:
        settings: as resolved by :func:`recbole_store.settings.resolve`.

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
    n_interactions = dataset.inter_num  # now: sequential data sets count targets once split
    with recbole_refusals(model_name, dataset_name):
        train_data, valid_data, test_data = data_preparation(config, dataset)
    # Set again, as RecBole does, so that the model's start does not depend on the data's.
    init_seed(config["seed"], config["reproducibility"])
    model = get_model(model_name)(config, train_data._dataset).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], model_name)(config, model)
    epochs = EpochLog(trainer)

    fit_started = time.perf_counter()
    best_score, valid_result = trainer.fit(
        train_data, valid_data, verbose=False, show_progress=config["show_progress"]
    )
    fit_s = time.perf_counter() - fit_started
    test_started = time.perf_counter()
    test_result = trainer.evaluate(test_data, show_progress=config["show_progress"])
    test_s = time.perf_counter() - test_started

    parameters = list(model.parameters())
    result = {
        "model": model_name,
        "dataset": dataset_name,
        "seed": config["seed"],
        "valid_metric": config["valid_metric"],
        "valid": dict(valid_result or {}),
        "test": dict(test_result),
        "protocol": {
            "eval_args": config["eval_args"],
            "repeatable": config["repeatable"],
            "history_filtered": not config["repeatable"],
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
            "test_s": test_s,
            "total_s": time.perf_counter() - started,
        },
        "sizes": {
            "parameters": sum(p.numel() for p in parameters),
            "trained_parameters": getattr(model, "trained_parameters", None)
            or sum(p.numel() for p in parameters if p.requires_grad),
            "peak_memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        },
        "curve": epochs.epochs,
        "settings": {key: config[key] for key in sorted(settings)},
        "versions": versions(),
        "hardware": hardware(config["device"]),
        "git_commit": commit,
        "run_dir": str(run_dir),
    }
    if model_name in PLUGIN_MODELS:
        result["store"] = model.report()
        if result["store"]["tokenizer_cached"]:  # the same time, whatever ran before
            result["times"]["fit_s"] += result["store"]["tokenizer_s"]
    (run_dir / "result.json").write_text(json.dumps(result, indent=1, default=str) + "\n")
    return result


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def versions() -> dict[str, str]:
    """Python's and the packages' versions that figures may depend on."""
    found = {"python": platform.python_version()}
    return found | {name: importlib.metadata.version(name) for name in VERSIONS_OF}


def hardware(device: torch.device) -> dict:
    """What the run ran on."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        name = platform.processor() or platform.machine()
        info = Path("/proc/cpuinfo")
        models = [
            line.split(":", 1)[1].strip()
            for line in (info.read_text().splitlines() if info.is_file() else [])
            if line.startswith("model name")
        ]
        name = models[0] if models else name
    return {
        "device": device.type,
        "name": name,
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
    }


def git_commit() -> str | None:
    """The checkout's commit, ``-dirty`` with uncommitted changes; None outside a checkout."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe"]
    command += ["--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        described = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:  # a checkout on a machine without git
        return None
    return described.stdout.strip() or None
