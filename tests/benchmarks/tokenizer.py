"""The tokenizer stage: items a second in training and in tokenizing, and clustering at scale.

Trains the default tokenizer on ml-100k's films anew, whatever the cache holds.
"""

from __future__ import annotations

import time

import torch
from machine import alternate, figures_to_file
from prepared import prepare

from recbole_store.tokenizer.quantizers.registry import base as quantizer
from recbole_store.tokenizer.stage import TokenizerStage

POINTS, WIDTH, CODES = 50_000, 64, 256


def measure() -> dict[str, float]:
    store = prepare("STORE")
    model, n_items = store.model, store.model.n_items - 1
    stage = TokenizerStage(store.config, model, store.trainer._build_optimizer)
    stage.cache_file(store.train.dataset).unlink(missing_ok=True)
    store.trainer.tokenize_items(store.train.dataset)
    seconds = model.tokenizer_report["tokenizer_s"]
    (encode,) = alternate(
        lambda: model.item_tokenizer.quantizer_inputs(model.item_tokenizer.texts[1:]), rounds=2
    )
    figures = {
        "tokenizer_stage_s": seconds,
        "tokenizer_train_items_per_s": store.config["tokenizer_epochs"] * n_items / seconds,
        "tokenizer_items_per_s": n_items / encode,
    }

    # The exact way against the one that large catalogues get, on points without clear clusters.
    torch.manual_seed(0)
    points = (torch.randn(POINTS, WIDTH) * torch.linspace(2, 0.2, WIDTH)).double().numpy()
    seconds, inertia = [], []
    for large in (POINTS, 0):  # exact, then by mini-batches
        quantizer.LARGE = large
        started = time.perf_counter()
        centroids = torch.from_numpy(quantizer.cluster(points, CODES, 0))
        seconds.append(time.perf_counter() - started)
        inertia.append(torch.cdist(torch.from_numpy(points), centroids).amin(1).square().mean())
    figures["tokenizer_kmeans_speedup_minibatch_50k"] = seconds[0] / seconds[1]
    figures["tokenizer_kmeans_inertia_minibatch_vs_exact"] = float(inertia[1] / inertia[0])
    return figures


if __name__ == "__main__":
    figures_to_file(measure)
