"""Models on ml-100k as a run of them would have them, without training."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import recbole
import torch
import yaml
from recbole.data import data_preparation
from recbole.utils import get_model, get_trainer, init_seed

from recbole_store.experiments.run.build import build
from recbole_store.settings.resolve import resolve
from recbole_store.tokenizer.semantic_ids import disambiguate

ROOT = Path(__file__).resolve().parent.parent.parent


class Prepared(NamedTuple):
    config: object
    model: object
    trainer: object
    train: object
    valid: object
    test: object


def prepare(name: str, dataset: str = "ml-100k", **settings) -> Prepared:
    """A model with RecBole's loaders and trainer; STORE without semantic IDs."""
    merged = resolve(name, "ml-100k", [], {}) | {"show_progress": False, "checkpoint_dir": "saved"}
    merged |= {"item_head_weight": 0.0}  # what is timed are the codes
    config, data = build(name, dataset, merged | settings)
    loaders = data_preparation(config, data)
    init_seed(config["seed"], config["reproducibility"])
    model = get_model(name)(config, loaders[0].dataset).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], name)(config, model)
    return Prepared(config, model, trainer, *loaders)


def ml_100k_of(users: int, folder: Path) -> dict:
    """Settings for a data set of ml-100k's first users, all their ratings; made in ``folder``."""
    source = Path(recbole.__file__).parent / "dataset_example" / "ml-100k"
    target = folder / f"users-{users}"
    target.mkdir(parents=True)
    name = target.name
    header, *rows = (source / "ml-100k.inter").read_text().splitlines()
    rows = [row for row in rows if int(row.split("\t")[0]) <= users]
    (target / f"{name}.inter").write_text("\n".join([header, *rows]) + "\n")
    (target / f"{name}.item").write_bytes((source / "ml-100k.item").read_bytes())
    properties = ROOT / "properties" / "dataset" / "ml-100k.yaml"
    return {
        **yaml.safe_load(properties.read_text()),
        "dataset": name,
        "data_path": str(folder),
    }


def random_semantic_ids(model, seed: int = 0) -> None:
    """Give a STORE semantic IDs that mean nothing: timings do not depend on what they mean."""
    generator = torch.Generator().manual_seed(seed)
    sizes = model.code_tokens.vocabulary.sizes
    codes = [torch.randint(size, (model.n_items - 1,), generator=generator) for size in sizes[:-1]]
    model.set_semantic_ids(disambiguate(torch.stack(codes, 1), sizes[-1]))


def start_training(prepared: Prepared):
    """One training step as a function of a batch, as RecBole's epoch takes it."""
    model, trainer = prepared.model, prepared.trainer
    optimizer = trainer._build_optimizer(params=parameters(model))
    model.train()

    def step(batch) -> float:
        optimizer.zero_grad()
        losses = model.calculate_loss(batch)
        loss = sum(losses) if isinstance(losses, tuple) else losses
        loss.backward()
        if trainer.clip_grad_norm:
            torch.nn.utils.clip_grad_norm_(model.parameters(), **trainer.clip_grad_norm)
        optimizer.step()
        return loss.item()

    return step


def parameters(model):
    return model.parameter_groups() if hasattr(model, "parameter_groups") else model.parameters()
