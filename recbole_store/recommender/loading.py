"""A model from its folder, without a data set."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import torch
from torch import nn

from recbole_store.errors import BackboneError, ModelFolderError, RequestError
from recbole_store.llm.model_digest import model_digest
from recbole_store.recommender.folder import RECOMMENDERS, Contents, read_folder
from recbole_store.recommender.stand_ins import StandInConfig, StandInDataset
from recbole_store.recommender.weights import take_state

PRECISIONS = ("fp32", "bf16", "auto")


def load_model(
    folder: Path, device: str | torch.device | None = None, precision: str | None = None
) -> tuple[nn.Module, Contents]:
    """A model that only recommends, and what its folder holds.

    Args:
        device: None: a GPU where there is one.
        precision: of decoding: fp32, bf16, or auto, bf16 where the hardware has it; None: as the
            run was tested. It is the setting ``eval_precision``, of a model that has it.

    Raises:
        ModelFolderError: the folder is no model's, or damaged.
        BackboneError: its LLM cannot be had, or is another one.
    """
    contents = read_folder(folder)
    device = _device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    name, catalogue = contents.config["model"], contents.catalogue
    if name not in RECOMMENDERS:
        raise ModelFolderError(
            f"{folder} holds a {name}, but models are {', '.join(RECOMMENDERS)}."
        )
    for key, known in contents.config["models"].items():
        _check_digest(folder, key, known)
    settings = StandInConfig(contents.config["settings"], device=device)
    if precision is not None:
        if precision not in PRECISIONS:
            known = ", ".join(PRECISIONS)
            raise RequestError(f"`precision` is {precision!r}, but must be one of {known}.")
        settings["eval_precision"] = precision
    fields = [[], *(catalogue.fields(item) for item in range(1, len(catalogue) + 1))]
    n_rows = catalogue.n_fitted + 1
    texts = fields[:n_rows] if catalogue.templates else None
    n_levels = contents.semantic_ids.size(1)
    data = StandInDataset(settings, texts, catalogue.counts[:n_rows], n_levels)
    module = import_module(f"recbole_store.model.{name.lower()}")
    with torch.random.fork_rng(devices=[]):  # a model's start is random, and soon forgotten
        model = getattr(module, name)(settings, data).to(device).eval().requires_grad_(False)
        _take_items(model, contents, fields)
    take_state(model, contents.state, str(folder))
    return model, contents


def _device(name: str | torch.device) -> torch.device:
    """Raises RequestError for what this machine, or its torch, does not have."""
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # which what is only thought of cannot
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise RequestError(
            f"The device is {str(name)!r}, which this machine does not have: name cpu, or leave it "
            "out."
        ) from error
    return device


def _take_items(model: nn.Module, contents: Contents, fields: list[list[str]]) -> None:
    """Codes and points of all items, and rows for those that came after training."""
    n_rows, new = contents.catalogue.n_fitted + 1, fields[contents.catalogue.n_fitted + 1 :]
    if hasattr(model, "item_tokenizer"):
        tokenizer = model.item_tokenizer
        tokenizer.semantic_ids.copy_(contents.semantic_ids[:n_rows])
        tokenizer.points.copy_(contents.points[:n_rows])
        model.add_items(new, contents.semantic_ids[n_rows:], contents.points[n_rows:])
    else:
        model.add_items(new)


def _check_digest(folder: Path, key: str, known: dict) -> None:
    """Raises BackboneError if the LLM or text encoder is another than in training."""
    found = model_digest(known["name"])
    if found is not None and found != known["sha256"]:
        raise BackboneError(
            f"{folder} was trained with another `{key}` than {known['name'] or 'the default LLM'} "
            f"now is: its content differs ({known['sha256'][:12]}, not {found[:12]}). Put the "
            "former files back."
        )
