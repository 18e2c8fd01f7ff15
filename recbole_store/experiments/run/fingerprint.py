"""What a run's figures depend on, as one hash: a finished run with the same hash is not run again.

The hash covers the model, its settings with RecBole's defaults, the data set's files, RecBole's and
torch's versions, and :data:`RESULT_VERSION`. Hardware, thread counts and the exact versions are
recorded in ``result.json`` but are no part of it: they change the rounding, which training makes as
much of as of another seed.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from functools import lru_cache
from pathlib import Path

from recbole_store.settings.property_files import known_types
from recbole_store.settings.resolve import check_dataset, with_recbole_defaults

# Raised when a change of the code makes the same settings give other figures.
RESULT_VERSION = 1

# Settings that change no figure, and why.
NOT_HASHED = {
    **dict.fromkeys(("gpu_id", "use_gpu", "worker"), "hardware, which is recorded"),
    **dict.fromkeys(("state", "show_progress", "log_wandb", "wandb_project"), "what is shown"),
    **dict.fromkeys(("data_path", "checkpoint_dir"), "folders; the data's content is hashed"),
    **dict.fromkeys(
        ("save_dataset", "dataset_save_path", "save_dataloaders", "dataloaders_save_path"),
        "what is kept on disk",
    ),
    "loss_decimal_place": "what is shown",
}

# Versions by their first two numbers: a patch release is not expected to change figures.
VERSIONS_HASHED = ("recbole", "torch")

_DATA_SUFFIXES = {".inter", ".item", ".user", ".kg", ".link", ".net", ".jsonl"}


def hashed_settings(model: str, dataset: str, settings: dict) -> dict:
    """The settings that a run's figures depend on, RecBole's defaults included.

    Left out are keys of other models, which a comparison may set for all, and keys that are null,
    which to RecBole is the same as not set; so a new key that is null by default changes no hash.

    Args:
        settings: as resolved by :func:`recbole_store.settings.resolve.resolve`.
    """
    known = known_types([model], dataset).keys() - NOT_HASHED.keys()
    complete = with_recbole_defaults(model, settings)
    kept = sorted(key for key in complete.keys() & known if complete[key] is not None)
    return {key: _canonical(complete[key]) for key in kept}


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
    folder = check_dataset(with_recbole_defaults("", settings), dataset)
    more = settings.get("additional_feat_suffix") or []
    suffixes = _DATA_SUFFIXES | {f".{s}" for s in ([more] if isinstance(more, str) else more)}
    files = [p for p in folder.glob(f"{dataset}.*") if p.is_file() and p.suffix in suffixes]
    return {file.name: _sha256(file.resolve(), file.stat().st_mtime_ns) for file in sorted(files)}


@lru_cache
def _sha256(path: Path, changed_ns: int) -> str:
    """Of a file since it was last changed: lists of trials ask for it again and again."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def protocol_hash(model: str, dataset: str, settings: dict) -> str:
    """16 hex digits that equal runs share."""
    content = {
        "model": model,
        "dataset": dataset,
        "settings": hashed_settings(model, dataset, settings),
        "data": data_checksums(dataset, settings),
        "versions": {
            name: importlib.metadata.version(name).split(".")[:2] for name in VERSIONS_HASHED
        },
        "result_version": RESULT_VERSION,
    }
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def identity(model: str, dataset: str, settings: dict, variant: str = "") -> dict:
    """What ``result.json`` says of which run it is.

    Returns:
        ``variant``, ``protocol_hash``, ``result_version``, ``hashed_settings`` and ``data_sha256``.
    """
    return {
        "variant": variant,
        "protocol_hash": protocol_hash(model, dataset, settings),
        "result_version": RESULT_VERSION,
        "hashed_settings": hashed_settings(model, dataset, settings),
        "data_sha256": data_checksums(dataset, settings),
    }
