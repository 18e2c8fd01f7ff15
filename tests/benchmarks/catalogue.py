"""Evaluation against a million items: memory and time, by ranked lists and by dense scores."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from machine import THREADS, figures_to_file
from prepared import prepare

from recbole_store.experiments.run.machine import peak_memory_gb

N_ITEMS, N_USERS, CODEBOOK = 1_000_000, 256, 256
METRICS = {"topk": ["Recall", "NDCG"], "dense": ["Recall", "NDCG", "GAUC"]}


def write_dataset(folder: Path) -> None:
    """Users who have seen ten random items each; every item once in the item file."""
    target = folder / "million"
    target.mkdir()
    generator = torch.Generator().manual_seed(0)
    seen = torch.randint(1, N_ITEMS + 1, (N_USERS, 10), generator=generator).tolist()
    with (target / "million.inter").open("w") as file:
        file.write("user_id:token\titem_id:token\ttimestamp:float\n")
        for user, items in enumerate(seen):
            file.writelines(f"{user}\t{item}\t{time}\n" for time, item in enumerate(items))
    with (target / "million.item").open("w") as file:
        file.write("item_id:token\ttitle:token_seq\n")
        file.writelines(f"{item}\titem number {item}\n" for item in range(1, N_ITEMS + 1))


def cost(way: str) -> dict[str, float]:
    """Evaluate an untrained STORE with random semantic IDs; "heads": by its item head too."""
    torch.set_num_threads(THREADS)
    with tempfile.TemporaryDirectory() as folder:
        write_dataset(Path(folder))
        store = prepare(
            "STORE",
            dataset="million",
            data_path=folder,
            load_col={"inter": ["user_id", "item_id", "timestamp"], "item": ["item_id"]},
            item_text={"title": "{}"},
            codebook_size=CODEBOOK,
            n_slots=3,
            metrics=METRICS.get(way, METRICS["topk"]),
            item_head_weight=1.0 if way == "heads" else 0.0,
            max_text_tokens=16,
        )
    model = store.model
    ids = torch.randperm(CODEBOOK**3, generator=torch.Generator().manual_seed(1))[:N_ITEMS]
    codes = torch.stack([ids // CODEBOOK**2, ids // CODEBOOK % CODEBOOK, ids % CODEBOOK], 1)
    model.set_semantic_ids(torch.nn.functional.pad(codes, (0, 1)))
    started = time.perf_counter()
    store.trainer.evaluate(store.test, load_best_model=False)
    seconds = time.perf_counter() - started
    return {
        "peak_gb": peak_memory_gb(),
        "users_per_s": len(store.test.dataset) / seconds,
        "items": model.n_items - 1,
    }


def measure() -> dict[str, float]:
    figures = {}
    for way in METRICS:
        run = subprocess.run(
            [sys.executable, __file__, "cost", way], check=True, capture_output=True
        )
        found = json.loads(run.stdout.splitlines()[-1])
        assert found.pop("items") == N_ITEMS
        figures |= {f"eval_{key}_1e6_items_{way}": value for key, value in found.items()}
    return figures


if __name__ == "__main__":
    if sys.argv[1] == "cost":
        way = sys.argv[2]
        sys.argv = sys.argv[:1]
        print(json.dumps(cost(way)))
    else:
        figures_to_file(measure)
