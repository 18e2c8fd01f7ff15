"""Windows against one row a prefix: the same model, the same targets.

Time: all targets of ml-100k once, extrapolated from timed batches. Loss: 100 users, both ways for
the same number of target presentations, compared on the same validation rows.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from machine import figures_to_file
from prepared import Prepared, ml_100k_of, prepare, random_semantic_ids, start_training

from recbole_store.plugin import register as recbole_plugin
from recbole_store.plugin.loaders import SimilarLengths

N_BATCHES = 30
PREFIX_ROWS = 32  # a step; one takes as long as a step of windows, or longer
N_USERS, EPOCHS, HISTORY = 100, 2, 20


def prepare_rows(prefix_rows: bool, **settings) -> Prepared:
    """STORE on windows, or on RecBole's training rows as they are, each for its own target."""
    read_as_windows = recbole_plugin.window_rows
    if prefix_rows:
        recbole_plugin.window_rows = lambda users, max_items: np.arange(len(users))
    store = prepare("STORE", align_weight=0.0, **settings)
    recbole_plugin.window_rows = read_as_windows
    store.model.only_last = prefix_rows
    random_semantic_ids(store.model)
    return store


def time_of_all_targets(prefix_rows: bool) -> float:
    """Seconds to see every training target of ml-100k once, next-item task alone."""
    store = prepare_rows(prefix_rows)
    dataset = store.train.dataset
    n_targets = len(dataset.inter_feat)
    batch_size = PREFIX_ROWS if prefix_rows else store.config["train_batch_size"]
    step = start_training(store)
    # Evenly over all rows, so with histories of all lengths; sorted as in training.
    rows = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0))
    rows = rows[: (N_BATCHES + 3) * batch_size]
    batches = [store.train.transform(dataset, dataset[part]) for part in rows.split(batch_size)]
    seconds = n_seen = 0
    for number, batch in enumerate(SimilarLengths(_Loader(batches), store.model.ITEM_SEQ_LEN)):
        started = time.perf_counter()
        step(batch)
        if number >= 3:
            seconds += time.perf_counter() - started
            lengths = batch[store.model.ITEM_SEQ_LEN]
            n_seen += len(lengths) if prefix_rows else int(lengths.sum())
    return seconds / n_seen * n_targets


class _Loader(list):
    shuffle = True


def loss_after_training(prefix_rows: bool, data: dict) -> float:
    """Cross-entropy a code on the validation rows, after EPOCHS passes over the targets."""
    store = prepare_rows(
        prefix_rows,
        **data,
        MAX_ITEM_LIST_LENGTH=HISTORY,
        backbone_layers=1,
        train_batch_size=8 * HISTORY if prefix_rows else 8,  # as many targets a step
    )
    store.trainer.optimizer = store.trainer._build_optimizer()
    for epoch in range(EPOCHS):
        store.trainer._train_epoch(store.train, epoch)
    model, dataset = store.model.eval(), store.valid.dataset
    model.only_last, model.targets_per_row = True, 1.0
    rows = store.valid.transform(dataset, dataset[torch.arange(len(dataset))])
    with torch.no_grad():
        return model.next_item_loss(rows).item()


def measure() -> dict[str, float]:
    prefix, windows = time_of_all_targets(True), time_of_all_targets(False)
    figures = {
        "window_speedup_vs_prefix_rows": prefix / windows,
        "window_all_targets_s": windows,
        "window_prefix_rows_all_targets_s": prefix,
    }
    with tempfile.TemporaryDirectory() as folder:
        data = ml_100k_of(N_USERS, Path(folder))
        for name, prefix_rows in (("windows", False), ("prefix_rows", True)):
            started = time.perf_counter()
            figures[f"window_valid_loss_{name}"] = loss_after_training(prefix_rows, data)
            figures[f"window_valid_loss_{name}_s"] = time.perf_counter() - started
    gap = figures["window_valid_loss_windows"] - figures["window_valid_loss_prefix_rows"]
    return figures | {"window_valid_loss_gap": gap}


if __name__ == "__main__":
    figures_to_file(measure)
