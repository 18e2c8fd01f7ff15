"""What a run's figures depend on, as one hash: a finished run with the same hash is not run again.

The hash covers the model, the settings that are not its defaults, the data set's files, the files
of the LLM or text encoder that it reads, RecBole's and torch's versions, and the model's number in
:data:`RESULT_VERSIONS`, which stands for the defaults and the code. So a key may go without a trace
once its default is all that is left of it. Hardware, thread counts and the exact versions are
recorded in ``result.json`` but are no part of the hash: they change the rounding, which training
makes as much of as of another seed.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from glob import escape

from recbole_store.data.checksums import sha256
from recbole_store.llm.model_digest import model_digest
from recbole_store.settings.dataset_files import check_dataset
from recbole_store.settings.defaults import recbole_defaults, shipped_defaults
from recbole_store.settings.keys import declared_keys
from recbole_store.settings.property_files import PLUGIN_MODELS
from recbole_store.settings.resolve import set_by_code
from recbole_store.tokenizer.quantizers.base import TEXT_EMBEDDING
from recbole_store.tokenizer.quantizers.registry import QUANTIZERS

OTHERS = "RecBole's models"
# A model's number is raised when a change of its defaults or of the code makes the same settings
# give other figures. tests/experiments/run/pinned_defaults.json holds the defaults of each number.
RESULT_VERSIONS = {
    "STORE": 1,
    "SASRecAll": 1,
    "TIGER": 1,
    "Neighbours": 1,
    "TextTower": 1,
    OTHERS: 1,
}
# What becomes of new items; beside the model's number it tells runs with `cold_items` apart, which
# alone depend on it. Since 2 they are like a history by the LLM's states as well, and their bias is
# chosen on all of validation.
NEW_ITEM_RULES = 2

# Settings that change no figure, and why.
NOT_HASHED = {
    **dict.fromkeys(("gpu_id", "use_gpu", "worker"), "hardware, which is recorded"),
    **dict.fromkeys(
        ("state", "show_progress", "log_wandb", "wandb_project", "log_mlflow"), "what is shown"
    ),
    **dict.fromkeys(("data_path", "checkpoint_dir"), "folders; the data's content is hashed"),
    **dict.fromkeys(
        ("save_dataset", "dataset_save_path", "save_dataloaders", "dataloaders_save_path"),
        "what is kept on disk",
    ),
    "loss_decimal_place": "what is shown",
    "checkpoint_minutes": "how much a kill costs",
}

# Versions by their first two numbers: a patch release is not expected to change figures.
VERSIONS_HASHED = ("recbole", "torch")

_DATA_SUFFIXES = {".inter", ".item", ".user", ".kg", ".link", ".net", ".jsonl"}


def result_version(model: str, settings: dict) -> int:
    """The number of the model's defaults and code, as far as a run's settings use it."""
    version = RESULT_VERSIONS[model if model in PLUGIN_MODELS else OTHERS]
    return version + NEW_ITEM_RULES - 1 if settings.get("cold_items") else version


def hashed_settings(model: str, dataset: str, settings: dict) -> dict:
    """The settings that a run's figures depend on and that are not the model's defaults.

    A data set's own properties are no defaults: they may change with the data. Left out are keys of
    other models, which a comparison may set for all. A key that is null is the same as none.

    Args:
        settings: as resolved by :func:`recbole_store.settings.resolve.resolve`.
    """
    known = declared_keys([model]).keys() - NOT_HASHED.keys()
    defaults = {**recbole_defaults(model, dataset), **shipped_defaults(model)}
    defaults |= set_by_code(model, {**defaults, **settings})
    found = {key: _canonical(settings[key]) for key in sorted(known & settings.keys())}
    return {key: value for key, value in found.items() if value != _canonical(defaults.get(key))}


def _canonical(value):
    """Equal settings as equal JSON: 1.0 is 1, a tuple is a list."""
    if isinstance(value, dict):
        return {str(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def data_checksums(dataset: str, settings: dict) -> dict[str, str]:
    """SHA-256 of each of the data set's files that RecBole or the plugin may read.

    Example: ``{"Beauty.inter": "9f86d081...", "Beauty.item": "60303ae2..."}``
    """
    folder = check_dataset({**recbole_defaults("", dataset), **settings}, dataset)
    more = settings.get("additional_feat_suffix") or []
    suffixes = _DATA_SUFFIXES | {f".{s}" for s in ([more] if isinstance(more, str) else more)}
    files = [p for p in folder.glob(f"{escape(dataset)}.*") if p.is_file() and p.suffix in suffixes]
    return {file.name: sha256(file) for file in sorted(files)}


def model_checksums(model: str, settings: dict) -> dict[str, str]:
    """Hashes of the LLM and the text encoder, as far as the model reads them, by their keys.

    Example: STORE with the palette reads no text encoder: ``{"backbone": "b179c952..."}``
    """
    defaults = shipped_defaults(model)
    settings = {**defaults, **settings}
    keys = [key for key in ("backbone", "text_encoder") if key in defaults]
    quantizer = QUANTIZERS.get(settings.get("tokenizer"))
    if quantizer is not None and quantizer.reads != TEXT_EMBEDDING:
        keys = [key for key in keys if key != "text_encoder"]
    found = {key: model_digest(settings[key]) for key in keys}
    return {key: digest for key, digest in found.items() if digest is not None}


def identity(model: str, dataset: str, settings: dict, variant: str = "") -> dict:
    """What ``result.json`` says of which run it is.

    Returns:
        ``variant``, ``protocol_hash``, ``result_version``, ``hashed_settings``, ``data_sha256`` and
        ``model_sha256``.
    """
    parts = {
        "result_version": result_version(model, settings),
        "hashed_settings": hashed_settings(model, dataset, settings),
        "data_sha256": data_checksums(dataset, settings),
        "model_sha256": model_checksums(model, settings),
    }
    versions = {name: importlib.metadata.version(name) for name in VERSIONS_HASHED}
    hashed = hash_of_parts(model, dataset, versions, **parts)
    return {"variant": variant, "protocol_hash": hashed, **parts}


def hash_of_parts(
    model: str,
    dataset: str,
    versions: dict[str, str],
    result_version: int,
    hashed_settings: dict,
    data_sha256: dict,
    model_sha256: dict,
) -> str:
    """16 hex digits of all that :func:`identity` and ``result.json``'s ``versions`` say."""
    content = {
        "model": model,
        "dataset": dataset,
        "settings": hashed_settings,
        "data": data_sha256,
        "models": model_sha256,
        "versions": {name: versions[name].split(".")[:2] for name in VERSIONS_HASHED},
        "result_version": result_version,
    }
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def protocol_hash(model: str, dataset: str, settings: dict) -> str:
    """16 hex digits that equal runs share."""
    return identity(model, dataset, settings)["protocol_hash"]
