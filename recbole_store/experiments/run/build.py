"""RecBole's config and data of a run, and whether a run can start."""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from pickle import UnpicklingError

from pandas.errors import ParserError
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import init_seed

from recbole_store.errors import InputError, RunError, SettingsError
from recbole_store.experiments.run.data_checks import check_caches, check_data, check_splits
from recbole_store.experiments.run.logs import quiet_libraries
from recbole_store.llm.loading import read_config
from recbole_store.llm.text_encoder import text_width
from recbole_store.settings.property_files import TOKENIZED_MODELS
from recbole_store.tokenizer.quantizers.base import TEXT_EMBEDDING
from recbole_store.tokenizer.quantizers.registry import QUANTIZERS


class CheckedConfig(Config):
    """RecBole's Config for settings that were read and checked already: it evaluates no strings."""

    is_resolved = True

    def _load_cmd_line(self):
        return {}

    def _convert_config_dict(self, config_dict):
        return config_dict


REFUSALS = (
    *(ValueError, KeyError, TypeError, AttributeError, IndexError, AssertionError),
    *(ImportError, NotImplementedError, RuntimeError, OSError, OverflowError, UnpicklingError),
)
# What RecBole and pandas raise over files' lines.
_OF_FILES = (ParserError, UnicodeDecodeError, OverflowError, IndexError)
_PARSING = ("Unable to convert column", "Length mismatch", "to unpack", "zip()")


@contextmanager
def recbole_refusals(model_name: str, dataset_name: str):
    """Turn what RecBole raises over settings and data, before any training, into one sentence.

    Raises:
        SettingsError: RecBole refused; the traceback is in the run's log.
    """
    try:
        yield
    except (InputError, RunError):
        raise
    except REFUSALS as error:
        logging.getLogger().info("RecBole refused the settings or the data.", exc_info=True)
        said = " ".join(str(error).split()) or type(error).__name__
        if "feat is empty" in said:
            said = (
                "its filters leave no interactions; loosen `item_inter_num_interval`, "
                "`user_inter_num_interval` or `val_interval`."
            )
        if isinstance(error, UnpicklingError):
            said = (
                "it is told to load a pickle, which may execute what its author wrote and is read "
                "by no command here: leave the path of the checkpoint out."
            )
        if isinstance(error, UnicodeDecodeError):
            said = f"one of its files is not {error.encoding}: set `encoding` to what it is"
        if isinstance(error, OverflowError):
            said = "a number in its files is beyond all that can be stored"
        if isinstance(error, _OF_FILES) or any(words in said for words in _PARSING):
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
            check_caches(config)
            dataset = create_dataset(config)
            check_data(config, dataset)
            return config, dataset
    finally:
        sys.argv = argv


def split(model_name: str, config, dataset) -> tuple:
    """RecBole's dataloaders for training, validation and test, each with rows.

    Raises:
        SettingsError: RecBole refuses the settings, or one of the three is left without rows.
    """
    with recbole_refusals(model_name, config["dataset"]):
        splits = dataset.build()
        check_splits(config, splits)
        dataset.build = lambda: splits  # RecBole asks for them, to put its dataloaders around
        try:
            return data_preparation(config, dataset)
        finally:
            del dataset.build


def check_start(model_name: str, dataset_name: str, settings: dict) -> None:
    """Find out whether a run can start: its settings, data, splits, and LLM or text encoder.

    Raises:
        InputError: saying what is in the way.
    """
    quiet_libraries()
    config, dataset = build(model_name, dataset_name, settings)
    split(model_name, config, dataset)
    if config["backbone"]:
        read_config(config["backbone"], config["backbone_layers"])
    if model_name in TOKENIZED_MODELS and QUANTIZERS[config["tokenizer"]].reads == TEXT_EMBEDDING:
        text_width(config["text_encoder"])
