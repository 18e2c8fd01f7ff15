"""The tokenizer stage: items a second in training and in tokenizing, and clustering at scale.

Trains the default tokenizer on ml-100k's films from the start.
"""

from __future__ import annotations

import time

import torch
from machine import alternate, figures_to_file
from prepared import prepare

from recbole_store.tokenizer import quantizers
from recbole_store.tokenizer_stage import TokenizerStage

POINTS, WIDTH, CODES = 40_000, 64, 256


def measure() -> dict[str, float]:
    store = prepare("STORE")
    model, n_items = store.model, store.model.n_items - 1
    stage = TokenizerStage(store.config, model, store.trainer._build_optimizer)
    started = time.perf_counter()
    # Past the cache, which another run may have filled.
    stage._train(stage._co_occurrence(store.train.dataset), show_progress=False)
    seconds = time.perf_counter() - started
    (encode,) = alternate(lambda: model.encode(model.texts[1:]), rounds=2)
    figures = {
        "tokenizer_stage_s": seconds,
        "tokenizer_train_items_per_s": store.config["tokenizer_epochs"] * n_items / seconds,
        "tokenizer_items_per_s": n_items / encode,
    }

    # The exact way against the one that large catalogues get, on points without clear clusters.
    torch.manual_seed(0)
    points = (torch.randn(POINTS, WIDTH) * torch.linspace(2, 0.2, WIDTH)).double().numpy()
    inertia = []

    def cluster(large: int):
        def task():
            quantizers.LARGE = large
            centroids = torch.from_numpy(quantizers._cluster(points, CODES, 0))
            inertia.append(torch.cdist(torch.from_numpy(points), centroids).amin(1).square().mean())

        return task

    exact, batches = alternate(cluster(POINTS), cluster(0), rounds=1)
    figures["tokenizer_kmeans_speedup_minibatch_40k"] = exact / batches
    figures["tokenizer_kmeans_inertia_minibatch_vs_exact"] = float(inertia[-1] / inertia[-2])
    return figures


if __name__ == "__main__":
    figures_to_file(measure)
