"""What more data cost: 150, 300 and 600 of ml-100k's users, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

import matplotlib
import numpy as np
import torch
from machine import figures_to_file
from prepared import Prepared, ml_100k_of, prepare, random_semantic_ids, start_training

from recbole_store.experiments.run.machine import peak_memory_gb

SHARES = {1: 150, 2: 300, 4: 600}  # times the data: users
PLOT = Path(__file__).resolve().parent.parent.parent / "results" / "bench_growth.svg"


def cost(users: int) -> dict[str, float]:
    """One epoch and one evaluation of STORE's defaults."""
    with tempfile.TemporaryDirectory() as folder:
        store = prepare("STORE", **ml_100k_of(users, Path(folder)))
    random_semantic_ids(store.model)
    store.trainer.optimizer = store.trainer._build_optimizer()
    warm_up(store)
    started = time.perf_counter()
    store.trainer._train_epoch(store.train, 0)
    trained = time.perf_counter()
    store.trainer.evaluate(store.test, load_best_model=False)
    return {
        "targets": len(store.train.dataset.inter_feat),
        "users": len(store.test.dataset),
        "epoch_s": trained - started,
        "eval_s": time.perf_counter() - trained,
        "peak_gb": peak_memory_gb(),
    }


def warm_up(store: Prepared) -> None:
    """A few steps and one prefill, so that the least data do not pay for first times alone."""
    step, dataset = start_training(store), store.test.dataset
    for batch in islice(store.train, 5):
        step(batch)
    store.model.eval().recommend(store.test.transform(dataset, dataset[torch.arange(64)]))


def straightness(x: list[float], y: list[float]) -> float:
    """Squared correlation: 1 for a straight line."""
    return float(np.corrcoef(x, y)[0, 1] ** 2)


def draw(costs: dict[int, dict]) -> None:
    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    matplotlib.rcParams.update({"svg.hashsalt": "bench", "font.size": 9})
    figure, axes = plt.subplots(1, 3, figsize=(9, 2.6), layout="constrained")
    for axis, x, y, title, across, up in (
        (axes[0], "targets", "epoch_s", "Training epoch", "thousand training targets", "seconds"),
        (axes[1], "users", "eval_s", "Evaluation", "users", "seconds"),
        (axes[2], "targets", "peak_gb", "Peak memory", "thousand training targets", "GB"),
    ):
        scale = 1000 if x == "targets" else 1
        points = [(row[x] / scale, row[y]) for row in costs.values()]
        axis.plot(*zip(*points, strict=True), marker="o", color="#1f5fa8")
        axis.set(title=title, xlabel=across, ylabel=up)
        axis.set_xlim(0)
        axis.set_ylim(0)
        axis.grid(alpha=0.3)
    figure.savefig(PLOT, metadata={"Date": None})


def measure() -> dict[str, float]:
    costs = {}
    for times, users in SHARES.items():
        run = subprocess.run(
            [sys.executable, __file__, "cost", str(users)], check=True, capture_output=True
        )
        costs[times] = json.loads(run.stdout.splitlines()[-1])
    draw(costs)
    rows = list(costs.values())
    figures = {f"growth_{key}_x{t}": row[key] for t, row in costs.items() for key in row}
    for name, x, y in (("epoch", "targets", "epoch_s"), ("eval", "users", "eval_s")):
        r2 = straightness([row[x] for row in rows], [row[y] for row in rows])
        figures[f"growth_{name}_straightness"] = r2
    return figures


if __name__ == "__main__":
    if sys.argv[1] == "cost":
        _, users = sys.argv[1:]
        sys.argv = sys.argv[:1]
        print(json.dumps(cost(int(users))))
    else:
        figures_to_file(measure)
