"""How RecBole 1.2.1 comes to know this package: models, data sets, trainers, transform, defaults.

What is mended in RecBole itself stands in patches.py; nothing else changes it.
"""

from __future__ import annotations

import importlib
import logging
import sys

from recbole import trainer as recbole_trainer
from recbole.config import Config
from recbole.data import dataset as recbole_dataset
from recbole.data import transform as recbole_transform
from recbole.data.interaction import Interaction
from recbole.utils import argument_list

from recbole_store.errors import SettingsError
from recbole_store.plugin.datasets import (
    SASRecAllDataset,
    STOREDataset,
    TextDataset,
    TextWindowDataset,
    TIGERDataset,
)
from recbole_store.plugin.patches import mend_recbole
from recbole_store.plugin.profiles.auto import profile_by_name
from recbole_store.settings.dataset_files import check_dataset
from recbole_store.settings.defaults import plugin_defaults, shipped_defaults
from recbole_store.settings.profile import AUTO
from recbole_store.settings.property_files import PLUGIN_MODELS, TOKENIZED_MODELS
from recbole_store.settings.resolve import set_by_code

log = logging.getLogger(__name__)

# Dataset keys that RecBole's cache of filtered datasets has to compare as well.
DATASET_KEYS = ("exact_time_order", "item_text", "n_slots", "cold_items", "validation_gap")

# Model name -> its data set.
DATASETS = {
    "STORE": STOREDataset,
    "SASRecAll": SASRecAllDataset,
    "TIGER": TIGERDataset,
    "Neighbours": TextDataset,
    "TextTower": TextWindowDataset,
}


# Model name -> its module, where that is not the name in lower case.
MODULES = {"TextTower": "text_tower"}


class SemanticIdTransform:
    """Attaches semantic IDs to a batch: of the history [B, T, L] and, if given, the item [B, L]."""

    def __init__(self, config):
        self.item_field = config["ITEM_ID_FIELD"]
        self.list_field = self.item_field + config["LIST_SUFFIX"]

    def __call__(self, dataset, interaction):
        codes = {
            f"semantic_id_{field}": dataset.semantic_ids[interaction[field].cpu()].to(
                interaction[field].device
            )
            for field in (self.list_field, self.item_field)
            if field in interaction
        }
        interaction.update(Interaction(codes))
        return interaction


def register() -> None:
    """Make RecBole know the plugin's models. Doing it twice changes nothing more."""
    if getattr(recbole_dataset, "STOREDataset", None) is STOREDataset:
        return
    mend_recbole()
    _add_default_properties()
    _add_transform()
    argument_list.dataset_arguments += DATASET_KEYS
    for name, dataset in DATASETS.items():
        setattr(recbole_dataset, f"{name}Dataset", dataset)
    # These import RecBole's model package, so they come after the parts it reads are in place.
    for name in PLUGIN_MODELS:
        model = importlib.import_module(f"recbole_store.model.{MODULES.get(name, name.lower())}")
        sys.modules[f"recbole.model.sequential_recommender.{name.lower()}"] = model
    trainers = importlib.import_module("recbole_store.plugin.trainer")
    for name in PLUGIN_MODELS:
        setattr(recbole_trainer, f"{name}Trainer", getattr(trainers, f"{name}Trainer"))


def _add_default_properties() -> None:
    """Let ``Config`` read the plugin's property files for its models, exact time order for all."""
    load = Config._load_internal_config_dict

    def load_internal_config_dict(self, model, model_class, dataset):
        load(self, model, model_class, dataset)
        if model in PLUGIN_MODELS:
            given = self.external_config_dict
            defaults = plugin_defaults(model, dataset, given.get("data_path", "dataset"))
            if model == "STORE" and not self.is_resolved:
                told = {**self.internal_config_dict, **defaults, **given}
                defaults.update(_of_profile(given.get("profile", AUTO), told, dataset))
            self.internal_config_dict.update(defaults, **set_by_code(model, defaults))
        else:
            exact = shipped_defaults(model)["exact_time_order"]
            self.internal_config_dict["exact_time_order"] = exact

    Config._load_internal_config_dict = load_internal_config_dict
    Config.is_resolved = False  # True of settings to which this package's commands added theirs


def _of_profile(name: str, told: dict, dataset: str) -> dict:
    """STORE's settings under a profile, for RecBole's own ``run_recbole``.

    Args:
        name: what ``config_dict`` says of ``profile``, by default "auto".
        told: RecBole's and the plugin's defaults, and what was given.
    """
    try:
        check_dataset(told, dataset)
    except SettingsError as error:  # RecBole may download it, or tells of it itself
        log.warning("STORE has its defaults, whatever the data: %s", error)
        return {}
    profile = profile_by_name(name, told, dataset)
    return profile.settings if profile else {}


def _add_transform() -> None:
    """Let ``transform: user_defined`` attach semantic IDs, for models of semantic IDs only."""
    user_defined = recbole_transform.UserDefinedTransform

    def dispatch(config):
        ours = config["model"] in TOKENIZED_MODELS
        return SemanticIdTransform(config) if ours else user_defined(config)

    recbole_transform.UserDefinedTransform = dispatch
