"""How RecBole 1.2.1 comes to know this package: registration, data set, transform, mended parts.

This is the only file that changes anything outside the package. Each change says what it is for.
"""

from __future__ import annotations

import importlib
import os
import sys

import torch
from recbole import trainer as recbole_trainer
from recbole.config import Config
from recbole.data import dataset as recbole_dataset
from recbole.data import transform as recbole_transform
from recbole.data.dataset import Dataset, SequentialDataset
from recbole.data.interaction import Interaction
from recbole.evaluator import collector as recbole_collector
from recbole.model.general_recommender.pop import Pop
from recbole.utils import argument_list

from recbole_store.generator.code_sequence import window_rows
from recbole_store.property_files import PLUGIN_MODELS, SettingsError, plugin_defaults
from recbole_store.settings import check_ranges
from recbole_store.tokenizer.item_text import read_item_texts
from recbole_store.topk_collector import users_per_batch

# Dataset keys that RecBole's cache of filtered datasets has to compare as well.
DATASET_KEYS = ("exact_time_order", "item_text", "n_levels")


class STOREDataset(SequentialDataset):
    """RecBole's sequential dataset with item texts, semantic IDs and training windows.

    Attributes:
        item_texts: per item_id a list of text pieces, one a column; empty for padding (0).
        semantic_ids: int64 [n_items, L], all zero until the tokenizer has run. The splits are
            shallow copies that share it, so it is only ever written in place.
        window_rows: rows that make up the training windows; None for other splits.
        n_targets: items to predict; negatives, by the data's label, do not count.
    """

    def __init__(self, config):
        check_ranges(config.final_config_dict)  # RecBole's own routes check nothing
        super().__init__(config)
        if config["codebook_size"] > self.item_num - 1:
            raise SettingsError(
                f"`codebook_size` is {config['codebook_size']}, but {config['dataset']} has "
                f"{self.item_num - 1} items: a codebook cannot be larger than the catalogue."
            )
        config["eval_batch_size"] = users_per_batch(config, self.item_num)
        self.window_rows = None
        self.semantic_ids = torch.zeros(self.item_num, config["n_levels"] + 1, dtype=torch.long)
        self.item_texts = read_item_texts(
            config["data_path"],
            config["dataset"],
            self.field2id_token[self.iid_field],
            id_column=self.iid_field,
            pieces=config["item_text"],
            separator=config["field_separator"],
            encoding=config["encoding"] or "utf-8",
        )

    def build(self):
        """RecBole's splits; the training split is then read through windows.

        RecBole keeps one row a target. One row of ``MAX_ITEM_LIST_LENGTH`` items plus its target
        holds that many targets, so every such row, counted back from each user's last, covers
        every target exactly once. Benchmark files come as separate rows and stay so.
        """
        train, *others = super().build()
        if self.config["benchmark_filename"] is None:
            users = train.inter_feat[self.uid_field].numpy()
            train.window_rows = torch.from_numpy(window_rows(users, self.max_item_list_len))
        return [train, *others]

    @property
    def n_targets(self) -> int:
        if self.label_field in self.inter_feat:
            return int((self.inter_feat[self.label_field] > 0).sum())
        return len(self.inter_feat)

    def __len__(self):
        return super().__len__() if self.window_rows is None else len(self.window_rows)

    def __getitem__(self, index, join=True):
        rows = index if self.window_rows is None else self.window_rows[index]
        return super().__getitem__(rows, join)


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
    _stop_anomaly_mode()
    _load_own_checkpoints()
    _sort_by_exact_time()
    _mend_collector()
    _mend_pop()
    _add_default_properties()
    _add_transform()
    argument_list.dataset_arguments += DATASET_KEYS
    recbole_dataset.STOREDataset = STOREDataset
    # Both import RecBole's model package, so they come after the parts it reads are in place.
    store = importlib.import_module("recbole_store.model.store")
    sys.modules["recbole.model.sequential_recommender.store"] = store
    recbole_trainer.STORETrainer = importlib.import_module("recbole_store.trainer").STORETrainer


def _stop_anomaly_mode() -> None:
    # sine.py, imported with every sequential model, checks each gradient of each model for NaN
    # and so about doubles the training time of all of them.
    importlib.import_module("recbole.model.sequential_recommender.sine")
    torch.autograd.set_detect_anomaly(False)


def _load_own_checkpoints() -> None:
    # RecBole's checkpoints are pickles that hold a Config, which torch >= 2.6 refuses by default.
    os.environ.setdefault("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")


def _sort_by_exact_time() -> None:
    """Keep interactions in the file's time order, for every model.

    RecBole sorts by time only after it was rounded to float32, 64 seconds or more for times since
    1970. Its sort is stable, so rows that are in order before the rounding stay in order.
    """
    load = Dataset._load_inter_feat

    def load_in_time_order(self, token, dataset_path):
        load(self, token, dataset_path)
        exact = self.config["exact_time_order"] and self.benchmark_filename_list is None
        if exact and self.time_field in self.inter_feat:
            self.inter_feat = self.inter_feat.sort_values(
                self.time_field, kind="stable", ignore_index=True
            )

    Dataset._load_inter_feat = load_in_time_order


def _mend_collector() -> None:
    """Let coverage, popularity, Gini, entropy and tail metrics run.

    The collector moves all it holds to the CPU, also the plain numbers and counters that these
    metrics need, which cannot be moved.
    """
    collect = recbole_collector.Collector.get_data_struct

    def get_data_struct(self):
        held = self.data_struct._data_dict
        plain = {name: held.pop(name) for name in list(held) if not torch.is_tensor(held[name])}
        struct = collect(self)
        for name, value in plain.items():
            self.data_struct.set(name, value)
            struct.set(name, value)
        return struct

    recbole_collector.Collector.get_data_struct = get_data_struct


def _mend_pop() -> None:
    """Let Pop count interactions.

    RecBole's counts, per item, the batches that it is in, sampled negatives included: with 2,048
    rows a batch all items of some popularity tie, and the baseline is weaker than popularity is.
    """
    start = Pop.__init__

    def init(self, config, dataset):
        start(self, config, dataset)
        self.LABEL = config["LABEL_FIELD"]

    def calculate_loss(self, interaction):
        items = interaction[self.ITEM_ID]
        if self.LABEL in interaction:
            items = items[interaction[self.LABEL] > 0]
        self.item_cnt[:, 0] += torch.bincount(items, minlength=self.n_items)
        self.max_cnt = self.item_cnt.max(dim=0)[0]
        return torch.nn.Parameter(torch.zeros(1)).to(self.device)

    Pop.__init__, Pop.calculate_loss = init, calculate_loss


def _add_default_properties() -> None:
    """Let ``Config`` read the plugin's property files for its models, exact time order for all."""
    load = Config._load_internal_config_dict

    def load_internal_config_dict(self, model, model_class, dataset):
        load(self, model, model_class, dataset)
        data_path = self.external_config_dict.get("data_path", "dataset")
        defaults = plugin_defaults(model, dataset, data_path)
        if model not in PLUGIN_MODELS:
            defaults = {"exact_time_order": defaults["exact_time_order"]}
        self.internal_config_dict.update(defaults)

    Config._load_internal_config_dict = load_internal_config_dict


def _add_transform() -> None:
    """Let ``transform: user_defined`` attach semantic IDs, for the plugin's models only."""
    user_defined = recbole_transform.UserDefinedTransform

    def dispatch(config):
        ours = config["model"] in PLUGIN_MODELS
        return SemanticIdTransform(config) if ours else user_defined(config)

    recbole_transform.UserDefinedTransform = dispatch
