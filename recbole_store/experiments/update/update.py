"""Training goes on from a finished model: known items keep ids, codes and what they have learnt.

Stage 1 is not run again. Items that the data have and the model has not join first by their texts,
as with ``add-items``; then stage 2 goes on for a few epochs, on all interactions, from the finished
weights. What goes on worse on validation than it began is not taken.
"""

from __future__ import annotations

import logging
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from recbole.utils import get_model, get_trainer, init_seed

from recbole_store.data.item_texts import read_item_columns
from recbole_store.errors import RequestError
from recbole_store.experiments.run.build import build, split
from recbole_store.experiments.run.evaluate import test_model
from recbole_store.experiments.run.run_status import RunStatus
from recbole_store.experiments.update.numbering import adopt, bring_back
from recbole_store.plugin.diary import diary_in
from recbole_store.processes.status import SILENT, Status
from recbole_store.recommender.new_items import NewItems, take
from recbole_store.recommender.recommender import Recommender
from recbole_store.settings.property_files import recbole_folder

log = logging.getLogger(__name__)

USUAL_SHARE = 10  # of the epochs of a whole training, one in so many


class Updated(NamedTuple):
    """What an update did."""

    n_new: int  # items that joined
    before: dict  # metrics of the test, new items having joined
    after: dict
    kept: bool  # whether training on was better on validation
    seconds: float


def update(
    store: Recommender,
    dataset: str,
    data_path: str | Path = "dataset",
    epochs: int | None = None,
    status: Status = SILENT,
) -> Updated:
    """Train a Recommender on; it is the updated one afterwards.

    Args:
        dataset: with all interactions, the former ones too, in the layout of the run's.
        epochs: passes over the training data; None: a tenth of the run's, at least one.
        status: says how far it is.

    Raises:
        SettingsError: there is no such data set, or it cannot be read.
        RequestError: new items have no texts that the model could read.
    """
    started, name = time.perf_counter(), store.config["model"]
    own = store.config["settings"]
    if epochs is None:
        epochs = max(own["epochs"] // USUAL_SHARE, 1)
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            **own,
            "data_path": str(data_path),
            "checkpoint_dir": folder,
            "epochs": epochs,
            "stopping_step": epochs,  # of so few none is left out
            "gpu_id": "" if store.model.device.type == "cpu" else own.get("gpu_id", "0"),
        }
        if dataset == "ml-100k":
            settings["data_path"] = str(recbole_folder() / "dataset_example")
        config, data = build(name, dataset, settings)
        train, valid, test = split(name, config, data)
        n_new = _join(store, data, config)
        raw_ids = [str(raw) for raw in data.field2id_token[data.iid_field]]
        place = torch.tensor([0, *(store.catalogue.item_id(raw) for raw in raw_ids[1:])])
        place = place.to(store.model.device)
        init_seed(config["seed"], config["reproducibility"])
        model = get_model(name)(config, train.dataset).to(config["device"])
        adopt(model, store.model, place)
        with diary_in(None):
            trainer = get_trainer(config["MODEL_TYPE"], name)(config, model)
        shown = RunStatus(status, trainer, train, valid)
        metric = config["valid_metric"].lower()
        before_valid = trainer.evaluate(valid, load_best_model=False)[metric]
        before = test_model(trainer, test, config, best=False)
        trainer.go_on(train, valid, show_progress=False)
        shown.testing = True
        better = trainer.best_valid_result and trainer.best_valid_result[metric] >= before_valid
        after = test_model(trainer, test, config, best=True) if better else before
        if better:
            bring_back(store.model, model, place)
    _take_counts(store, train.dataset, place.cpu().numpy())
    seconds = time.perf_counter() - started
    store.config["metrics"] = {test: dict(found) for test, found in after.metrics.items()}
    store.config["protocol"] |= {
        "n_users": data.user_num - 1,
        "n_items": data.item_num - 1,
        "n_interactions": data.inter_num,
    }
    store.config.setdefault("updates", []).append(
        {"dataset": dataset, "new_items": n_new, "epochs": epochs, "kept": bool(better)}
    )
    return Updated(n_new, before.own, after.own, bool(better), seconds)


def _join(store: Recommender, data, config) -> int:
    """Let items that the data have and the model has not join by their texts; how many."""
    catalogue = store.catalogue
    raw_ids = [str(raw) for raw in data.field2id_token[data.iid_field][1:]]
    new = [raw for raw in raw_ids if raw not in catalogue.item_ids]
    if not new:
        return 0
    if not catalogue.templates:
        raise RequestError(
            f"{config['dataset']} has {len(new):,} new items, but the model's run had no texts, "
            "which say what a new item is like: train it anew."
        )
    found = read_item_columns(
        config["data_path"],
        config["dataset"],
        data.iid_field,
        catalogue.templates,
        config["field_separator"],
        config["encoding"] or "utf-8",
    )
    nothing: dict[str, str] = {}
    rows = [
        {column: row.get(column, "").strip() for column in catalogue.columns}
        for row in (found.rows.get(raw, nothing) for raw in new)
    ]
    take(store.model, catalogue, NewItems(new, rows, 0, 0))
    log.info("%d new items have joined by their texts.", len(new))
    return len(new)


def _take_counts(store: Recommender, train, place: np.ndarray) -> None:
    """Training counts of the new data, and what a model derives from them."""
    counts = store.catalogue.counts
    counts[place[1:]] = 0
    for item, count in train.item_counter.items():
        counts[place[item]] = count
    if hasattr(store.model, "count_items"):
        store.model.count_items(dict(enumerate(counts.tolist())))
