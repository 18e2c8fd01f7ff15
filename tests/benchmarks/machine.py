"""The machine under the figures, and how things are timed on it."""

from __future__ import annotations

import importlib.metadata
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from recbole_store.experiments.run.machine import hardware, keep_freed_memory

IS_BOUND = hasattr(os, "sched_getaffinity")  # to some of the cores; Linux alone can tell
THREADS = len(os.sched_getaffinity(0)) if IS_BOUND else os.cpu_count()


def describe() -> dict[str, str | int]:
    """Machine and versions, flat."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    found = hardware(device)
    return {
        "machine": f"{found['name']}, {found['cores']} cores",
        "torch": torch.__version__,
        "transformers": importlib.metadata.version("transformers"),
    }


def alternate(*tasks: Callable[[], object], rounds: int = 3) -> list[float]:
    """Median seconds of each task, in turn A B A B ..., after one warm-up of each."""
    times: list[list[float]] = [[] for _ in tasks]
    for turn in range(rounds + 1):
        for task, seconds in zip(tasks, times, strict=True):
            started = time.perf_counter()
            task()
            if turn > 0:
                seconds.append(time.perf_counter() - started)
    return [statistics.median(seconds) for seconds in times]


def peak_gflops(dtype: torch.dtype) -> float:
    """Best rate of a matrix product, 10^9 operations a second, over a few usual shapes."""
    best = 0.0
    for rows, inner, columns in ((2048, 2048, 2048), (1200, 576, 1536), (1200, 1536, 576)):
        a, b = torch.randn(rows, inner, dtype=dtype), torch.randn(columns, inner, dtype=dtype)

        def products(a=a, b=b):
            for _ in range(20):
                torch.nn.functional.linear(a, b)

        (seconds,) = alternate(products, rounds=7)
        best = max(best, 20 * 2 * rows * inner * columns / seconds / 1e9)
    return best


def figures_to_file(measure: Callable[[], dict[str, float]]) -> None:
    """Run a part as a script: its figures go to the file named on the command line."""
    (out,) = sys.argv[1:]
    sys.argv = sys.argv[:1]  # RecBole reads it
    torch.set_num_threads(THREADS)
    keep_freed_memory()
    figures = measure()
    for name, value in figures.items():
        print(f"  {name} {value:.4g}", flush=True)
    Path(out).write_text(json.dumps(figures))
