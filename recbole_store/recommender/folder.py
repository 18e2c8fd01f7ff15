"""The folder that a finished run is: what stands where, written in one step and checked when read.

==========================  =====================================================================
``config.json``             model, settings, versions, digests of the data, the LLM and the files;
                            of a model that tells users apart also raw id -> token of each
``model.safetensors``       what was trained or fitted alone, each tensor once
``tokenizer/``              ``tokenizer.safetensors``: slots, tower and the quantizer's codebooks
``items.parquet``           see :mod:`recbole_store.recommender.items_file`
``README.md``               the model card
==========================  =====================================================================

Nothing in it is ever executed. Frozen parts of the LLM are not in it: they come from the backbone,
whose content must be the one of the training.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from recbole_store.data.checksums import sha256
from recbole_store.errors import ModelFolderError
from recbole_store.recommender.catalogue import Catalogue
from recbole_store.recommender.items_file import NAME as ITEMS
from recbole_store.recommender.items_file import read_items, write_items
from recbole_store.recommender.weights import TOKENIZER, state_of

RECOMMENDERS = ("STORE", "TIGER", "SASRecAll", "Neighbours")
FORMAT = 1  # raised when older readers would misread it
CONFIG, CARD, MODEL = "config.json", "README.md", "model.safetensors"
TOKENIZER_FILE = "tokenizer/tokenizer.safetensors"

# What config.json holds, as far as reading a folder depends on it.
_HELD = {
    "model": str,
    "settings": dict,
    "models": dict,
    "items": dict,
    "users": dict,
    "files": dict,
}


class Contents(NamedTuple):
    """What a folder holds besides its card."""

    config: dict
    state: dict[str, Tensor]
    catalogue: Catalogue
    semantic_ids: Tensor  # int64 [N + 1, L]
    points: Tensor  # fp32 [N + 1, P]
    users: dict[str, int]  # raw id -> token


def write_folder(
    folder: Path, model: nn.Module, catalogue: Catalogue, config: dict, users: dict, card: str
) -> None:
    """Write a model, in the place of the one that may be there.

    Args:
        config: of ``config.json``, but for the format, the columns and the files.

    Raises:
        ModelFolderError: the folder cannot be written, or is no model's.
    """
    folder = Path(folder)
    if folder.exists() and not (folder / CONFIG).is_file() and any(folder.iterdir()):
        raise ModelFolderError(
            f"{folder} holds other things than a model: name an empty or a new folder."
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    except OSError as error:
        raise ModelFolderError(f"{folder} cannot be written: {error.strerror}.") from error
    try:
        _fill(part, model, catalogue, config, users, card)
        part.chmod(0o755)  # temporary folders are their owner's alone
        if folder.exists():
            before = part.with_name(part.name + "-before")
            folder.rename(before)
            part.rename(folder)
            shutil.rmtree(before)
        else:
            part.rename(folder)
    except OSError as error:
        raise ModelFolderError(f"{folder} cannot be written: {error.strerror}.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _fill(
    part: Path, model: nn.Module, catalogue: Catalogue, config: dict, users: dict, card: str
) -> None:
    state = state_of(model)
    of_tokenizer = {name: state.pop(name) for name in list(state) if name.startswith(TOKENIZER)}
    save_file(state, part / MODEL, metadata={"format": "pt"})
    files = [MODEL, ITEMS]
    if of_tokenizer:
        (part / TOKENIZER_FILE).parent.mkdir()
        save_file(of_tokenizer, part / TOKENIZER_FILE, metadata={"format": "pt"})
        files.append(TOKENIZER_FILE)
    tokenizer = getattr(model, "item_tokenizer", None)
    tables = (tokenizer.semantic_ids, tokenizer.points) if tokenizer else (None, None)
    write_items(part / ITEMS, catalogue, *tables)
    content = {
        "format": FORMAT,
        **config,
        "items": {
            "fitted": catalogue.n_fitted,
            "added": len(catalogue) - catalogue.n_fitted,
            "columns": list(catalogue.columns),
            "templates": catalogue.templates,
        },
        "users": users,
        "files": {name: sha256(part / name) for name in sorted(files)},
    }
    text = json.dumps(content, indent=1, ensure_ascii=False)
    (part / CONFIG).write_text(text + "\n", encoding="utf-8")
    (part / CARD).write_text(card, encoding="utf-8")


def read_config(folder: Path) -> dict:
    """config.json of a model's folder.

    Raises:
        ModelFolderError: there is none, or one of another format.
    """
    path = Path(folder) / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        found = config["format"]
        is_whole = all(isinstance(config.get(key), kind) for key, kind in _HELD.items())
        is_whole = is_whole and isinstance(config.get("new_item_bias", 0.0), (int, float))
    except OSError as error:
        below = folder / "model"
        there = "a run leaves its model in saved/RUN/model."
        if (below / CONFIG).is_file():
            there = f"did you mean {below}?"
        raise ModelFolderError(f"{folder} is no model, it has no {CONFIG}: {there}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelFolderError(
            f"{path} is no model's: it is damaged, or another tool's."
        ) from error
    if found == FORMAT and not is_whole:
        raise ModelFolderError(f"{path} is damaged: something in it is not what it should be.")
    if found != FORMAT:
        raise ModelFolderError(
            f"{path} has the format {found!r}, but this version reads {FORMAT}: use the version of "
            "recbole-store that wrote it, or train the model again."
        )
    return config


def read_folder(folder: Path) -> Contents:
    """All that a model's folder holds.

    Raises:
        ModelFolderError: something is missing or damaged.
    """
    folder = Path(folder)
    config = read_config(folder)
    try:
        for name, digest in config["files"].items():
            if Path(name).is_absolute() or ".." in Path(name).parts:
                raise ModelFolderError(f"{folder / CONFIG} names a file outside: {name}.")
            if sha256(folder / name) != digest:
                raise ModelFolderError(
                    f"{folder / name} is damaged: its SHA-256 is not that of {CONFIG}."
                )
        state: dict[str, Tensor] = {}
        for name in (MODEL, TOKENIZER_FILE):
            if name in config["files"]:
                state |= load_file(folder / name)
        of_items = config["items"]
        items = read_items(folder / ITEMS, of_items["columns"], of_items["templates"])
        return Contents(config, state, *items, config["users"])
    except OSError as error:
        raise ModelFolderError(f"{error.filename} cannot be read: {error.strerror}.") from error
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, ModelFolderError):
            raise
        raise ModelFolderError(
            f"{folder} is damaged or incomplete ({type(error).__name__}: {error})."
        ) from error


def size_of(folder: Path) -> int:
    """Bytes of all files of a folder."""
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
