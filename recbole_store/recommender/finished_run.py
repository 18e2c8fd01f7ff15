"""A run's trained model -> its folder."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
from torch import nn

from recbole_store.data.checksums import sha256
from recbole_store.data.item_texts import read_item_columns, title_column
from recbole_store.errors import ItemTextError
from recbole_store.recommender.card import card_text
from recbole_store.recommender.catalogue import PADDING, Catalogue
from recbole_store.recommender.folder import write_folder
from recbole_store.recommender.weights import trained_numbers
from recbole_store.settings.keys import data_keys, declared_keys

# Settings that name this machine's folders and devices, or what is shown.
_OF_THE_MACHINE = {
    *("data_path", "checkpoint_dir", "dataset_save_path", "dataloaders_save_path"),
    *("save_dataset", "save_dataloaders", "gpu_id", "use_gpu", "worker", "state"),
    *("show_progress", "log_wandb", "wandb_project", "log_mlflow"),
}

# What RecBole's config rewrites as it would not read it again; these models take the default.
_REWRITTEN = {"train_neg_sample_args", "valid_neg_sample_args", "test_neg_sample_args"}


def write_model(folder: Path, model: nn.Module, dataset, config, result: dict) -> None:
    """Write the folder of a run that has just been tested.

    Args:
        model: the best epoch's, cold items that have joined included.
        dataset: RecBole's training split.
        config: RecBole's.
        result: as of ``result.json``.

    Raises:
        ModelFolderError: the folder cannot be written.
    """
    catalogue = catalogue_of(dataset, config)
    content = {
        "model": result["model"],
        "variant": result["variant"],
        "dataset": result["dataset"],
        "settings": stored_settings(result["model"], config),
        "command": command_of(result),
        "protocol": result["protocol"],
        "metrics": {name: dict(found) for name, found in result["tests"].items()},
        "protocol_hash": result["protocol_hash"],
        "result_version": result["result_version"],
        "trained_numbers": trained_numbers(model),
        "new_item_bias": (result["cold"] or {}).get("bias") or 0.0,
        "models": {
            key: {"name": config[key], "sha256": digest}
            for key, digest in result["model_sha256"].items()
        },
        "data": {"files": result["data_sha256"], "card": data_card_digest(config)},
        "versions": result["versions"],
        "git_commit": result["git_commit"],
    }
    content = json.loads(json.dumps(content, default=_plain))
    users = user_tokens(model, dataset)
    write_folder(folder, model, catalogue, content, users, card_text(content, catalogue))


def stored_settings(model: str, config) -> dict:
    """Settings that describe the model and its run, whatever the machine."""
    known = declared_keys([model]).keys() - _OF_THE_MACHINE - _REWRITTEN
    found = {key: config[key] for key in sorted(known)}
    return {key: value for key, value in found.items() if _is_json(value)}


def catalogue_of(dataset, config) -> Catalogue:
    """The items of RecBole's training split, with the text columns that the run read."""
    raw_ids = [str(raw) for raw in dataset.field2id_token[dataset.iid_field]]
    counts = np.zeros(len(raw_ids), dtype=np.int64)
    for item, count in dataset.item_counter.items():
        counts[item] = count
    columns: dict[str, list[str]] = {}
    templates: dict[str, str] = {}
    try:
        found = read_item_columns(
            config["data_path"],
            config["dataset"],
            dataset.iid_field,
            config["item_text"],
            config["field_separator"],
            config["encoding"] or "utf-8",
        )
    except ItemTextError:  # SASRecAll needs none
        found = None
    if found is not None:
        templates, nothing = found.templates, {}
        rows = [nothing, *(found.rows.get(raw, nothing) for raw in raw_ids[1:])]
        names = list(templates)
        if title_column(names) is None:  # texts without titles, but there may be some
            title = title_column(sorted({name for row in rows for name in row}))
            names += [title] if title else []
        columns = {name: [row.get(name, "").strip() for row in rows] for name in names}
    return Catalogue([PADDING, *raw_ids[1:]], columns, templates, counts, len(raw_ids) - 1)


def user_tokens(model: nn.Module, dataset) -> dict[str, int]:
    """Raw user id -> what the model knows the user by; none for a model of histories alone."""
    n_tokens = getattr(model, "n_user_tokens", 0)
    if not n_tokens:
        return {}
    raw_ids = dataset.field2id_token[dataset.uid_field]
    return {str(raw): user % n_tokens for user, raw in enumerate(raw_ids) if user > 0}


def command_of(result: dict) -> str:
    """The command line that makes such a run, less where its data lie."""
    label = result["model"] + (f":{result['variant']}" if result["variant"] else "")
    words = ["recbole-store", f"--model={label}", f"--dataset={result['dataset']}"]
    given = {"seed": result["seed"], **result["hashed_settings"]}
    of_data = data_keys()
    words += [f"--{key}={json.dumps(value)}" for key, value in given.items() if key not in of_data]
    return shlex.join(words)


def data_card_digest(config) -> str | None:
    """SHA-256 of the data set's card; None for one that was not prepared here."""
    card = Path(config["data_path"]) / f"{config['dataset']}.card.json"
    return sha256(card) if card.is_file() else None


def _is_json(value) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True


def _plain(value):
    """Numbers of NumPy and torch as numbers, anything else as its text."""
    return value.item() if hasattr(value, "item") and np.ndim(value) == 0 else str(value)
