"""A finished model at work: loading, one request, batches, new items, the server under load.

The models have the shipped settings of STORE and catalogues as large as ml-100k's and Amazon
Beauty's; weights and codes are random, which timings do not depend on. RecBole's case study asks
the very same model.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from machine import THREADS, figures_to_file
from prepared import prepare, random_semantic_ids
from recbole.utils.case_study import full_sort_topk

from recbole_store import load
from recbole_store.llm.model_digest import model_digest
from recbole_store.model.store import STORE
from recbole_store.recommender.catalogue import Catalogue
from recbole_store.recommender.finished_run import catalogue_of, stored_settings
from recbole_store.recommender.folder import size_of
from recbole_store.recommender.recommender import Recommender
from recbole_store.recommender.stand_ins import StandInConfig, StandInDataset
from recbole_store.recommender.weights import trained_numbers
from recbole_store.tokenizer.semantic_ids import usual_codebook_size

SIZES = {"ml100k": 1_682, "beauty": 12_101}
HISTORY = 50  # items
REQUESTS = 100  # of one user each
BATCHES = (1, 32, 512)
BATCH_S = 5  # that batches of one size are ranked
NEW_ITEMS = 640
CONNECTIONS, LOAD_S = 64, 60
TEXT = "Moisturizing hand cream with shea butter and lavender, tube of 75 ml, number {}"


def config_of(settings: dict, n_items: int) -> dict:
    """What config.json has to say, as far as loading asks."""
    name = settings["backbone"]
    return {
        "model": "STORE",
        "variant": "",
        "dataset": "benchmark",
        "settings": settings,
        "command": "python tests/benchmarks serving",
        "protocol": {
            "n_users": 0,
            "n_items": n_items,
            "n_interactions": 0,
            "eval_args": {},
            "max_item_list_length": settings["MAX_ITEM_LIST_LENGTH"],
        },
        "metrics": {},
        "models": {"backbone": {"name": name, "sha256": model_digest(name)}},
        "data": {"files": {}, "card": None},
        "versions": {},
    }


def make_model(settings: dict, n_items: int) -> Recommender:
    """A STORE with random weights, codes and codebooks, of a catalogue with texts."""
    settings = settings | {"codebook_size": None}
    n_slots = settings["n_slots"]
    settings["codebook_size"] = usual_codebook_size(n_items, n_slots)
    titles = ["", *(TEXT.format(item) for item in range(1, n_items + 1))]
    raw_ids = ["[PAD]", *(f"i{item}" for item in range(1, n_items + 1))]
    counts = np.arange(n_items + 1)
    catalogue = Catalogue(raw_ids, {"title": titles}, {"title": "{}"}, counts, n_items)
    fields = [[], *([title] for title in titles[1:])]
    config = StandInConfig(settings, device=torch.device("cpu"))
    torch.manual_seed(0)
    model = STORE(config, StandInDataset(config, fields, counts, n_slots + 1)).eval()
    for table in (model.item_tokenizer.points, *model.item_tokenizer.quantizer.buffers()):
        table.normal_()
    random_semantic_ids(model)
    return Recommender(model, catalogue, config_of(settings, n_items), {})


def histories(n_items: int, n: int) -> list[list[str]]:
    drawn = np.random.default_rng(0).integers(1, n_items + 1, (n, HISTORY))
    return [[f"i{item}" for item in row] for row in drawn]


def latency_ms(ask, requests: list) -> tuple[float, float]:
    """Median and 99th percentile of one request, milliseconds, after a few to warm up."""
    for request in requests[:3]:
        ask(request)
    times = []
    for request in requests:
        started = time.perf_counter()
        ask(request)
        times.append(1000 * (time.perf_counter() - started))
    return statistics.median(times), float(np.quantile(times, 0.99))


def measure_size(name: str, settings: dict, folder: Path) -> dict[str, float]:
    n_items, figures = SIZES[name], {}
    made = make_model(settings, n_items)
    made.save(folder)
    weights = size_of(folder) - (folder / "items.parquet").stat().st_size
    figures[f"serving_size_{name}"] = weights / (4 * trained_numbers(made.model))
    del made
    given = histories(n_items, max(BATCHES[-1], REQUESTS))
    for threads in sorted({1, THREADS}):
        torch.set_num_threads(threads)
        started = time.perf_counter()
        store = load(folder, device="cpu")
        figures[f"serving_load_s_{name}_t{threads}"] = time.perf_counter() - started
        median, slowest = latency_ms(partial(_one, store), given[:REQUESTS])
        figures[f"serving_p50_ms_{name}_t{threads}"] = median
        figures[f"serving_p99_ms_{name}_t{threads}"] = slowest
        for size in BATCHES:
            n, started = 0, time.perf_counter()
            while time.perf_counter() - started < BATCH_S:
                store.recommend(given[:size])
                n += size
            rate = n / (time.perf_counter() - started)
            figures[f"serving_users_per_s_{name}_b{size}_t{threads}"] = rate
    torch.set_num_threads(1)
    rounded = load(folder, device="cpu", precision="bf16")
    figures[f"serving_p50_ms_{name}_bf16_t1"], _ = latency_ms(
        partial(_one, rounded), given[:REQUESTS]
    )
    torch.set_num_threads(THREADS)
    # Random codebooks send all texts to few codes, so what is timed is reading, which add_items
    # spends nearly all its time on.
    texts = [TEXT.format(f"new {n}") for n in range(NEW_ITEMS)]
    started = time.perf_counter()
    store.model.item_tokenizer.read(texts)
    figures[f"serving_new_texts_read_per_s_{name}"] = NEW_ITEMS / (time.perf_counter() - started)
    return figures


def _one(store: Recommender, items: list[str]):
    return store.recommend(items=items)


def measure_case_study() -> dict[str, float]:
    """One user at a time: RecBole's full_sort_topk, and ours, on the same model and history."""
    torch.set_num_threads(1)
    prepared = prepare("STORE", item_head_weight=1.0)
    model, dataset = prepared.model.eval(), prepared.test.dataset
    random_semantic_ids(model)
    catalogue = catalogue_of(prepared.train.dataset, prepared.config)
    settings = stored_settings("STORE", prepared.config)
    store = Recommender(model, catalogue, config_of(settings, len(catalogue)), {})
    rows = dataset.inter_feat
    users = rows[dataset.uid_field][:REQUESTS].tolist()
    lists = rows[model.ITEM_SEQ][:REQUESTS].tolist()
    items = [[catalogue.raw_ids[item] for item in row if item] for row in lists]
    with torch.no_grad():
        theirs, _ = latency_ms(
            lambda user: full_sort_topk(np.array([user]), model, prepared.test, k=10), users
        )
    ours, _ = latency_ms(lambda history: store.recommend(items=history, exclude_seen=False), items)
    return {"serving_case_study_ms": theirs, "serving_speedup_vs_case_study": theirs / ours}


async def _ask(address: tuple[str, int], bodies: list[bytes], until: float, times: list) -> int:
    """One connection that asks again and again; how many answers were no list."""
    reader, writer = await asyncio.open_connection(*address)
    errors = 0
    for turn in range(1_000_000):
        if time.perf_counter() > until:
            break
        body = bodies[turn % len(bodies)]
        head = "POST /recommend HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        started = time.perf_counter()
        answered = await reader.readuntil(b"\r\n\r\n")
        length = int(answered.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        times.append(time.perf_counter() - started)
        errors += b" 200 " not in answered.split(b"\r\n")[0]
    writer.close()
    return errors


def measure_server(folder: Path, n_items: int) -> dict[str, float]:
    """So many connections at once, for a minute; the asking shares the machine."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    words = [sys.executable, "-m", "recbole_store.cli", "serve", str(folder), "--device", "cpu"]
    server = subprocess.Popen([*words, "--port", str(port)], stdout=subprocess.DEVNULL)
    try:
        for _ in range(1200):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        bodies = [json.dumps({"items": items}).encode() for items in histories(n_items, 64)]
        memory = [_resident_mb(server.pid)]

        async def load_it() -> tuple[int, list[float]]:
            times: list[float] = []
            until = time.perf_counter() + LOAD_S
            parts = [
                _ask(("127.0.0.1", port), bodies[n:] + bodies[:n], until, times)
                for n in range(CONNECTIONS)
            ]
            halfway = asyncio.get_running_loop().call_later(
                LOAD_S / 2, lambda: memory.append(_resident_mb(server.pid))
            )
            errors = sum(await asyncio.gather(*parts))
            halfway.cancel()
            return errors, times

        errors, times = asyncio.run(load_it())
        memory.append(_resident_mb(server.pid))
    finally:
        server.terminate()
        server.wait()
    return {
        "serving_http_requests_per_s": len(times) / LOAD_S,
        "serving_http_p99_ms": 1000 * float(np.quantile(times, 0.99)),
        "serving_http_errors": errors,
        "serving_http_memory_growth": memory[-1] / memory[1 if len(memory) > 2 else 0],
    }


def _resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure() -> dict[str, float]:
    from recbole_store.settings.defaults import recbole_defaults, shipped_defaults

    settings = {**recbole_defaults("STORE", ""), **shipped_defaults("STORE")}
    figures: dict[str, float] = {}
    for name in SIZES:
        figures |= measure_size(name, settings, Path(f"model-{name}"))
    figures |= measure_server(Path("model-ml100k"), SIZES["ml100k"])
    return figures | measure_case_study()


if __name__ == "__main__":
    figures_to_file(measure)
