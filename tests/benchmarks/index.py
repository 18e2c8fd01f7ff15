"""The short list's pass over all items against faiss's inverted lists, which look at some of them.

A million vectors in clusters, as trained ones come, and queries near some of them. On one thread,
64 users at a time, after what each index takes to be built. Needs faiss-cpu.
"""

from __future__ import annotations

import time

import faiss
import torch
import torch.nn.functional as F
from machine import figures_to_file

from recbole_store.generator.short_list import SHORT_LIST, BlockIndex

N_ITEMS, N_CLUSTERS, WIDTH, TOP = 1_000_000, 20_000, 128, 20
NOISE = 0.6  # length of what sets an item of a cluster apart, in lengths of the cluster's centre
USERS, ROUNDS = 64, 5
N_LISTS, PROBES = 1024, (1, 8, 32, 128)


def planted() -> tuple[torch.Tensor, torch.Tensor]:
    """Vectors [N, W] and queries [USERS, W]."""
    generator = torch.Generator().manual_seed(0)

    def near(centres: torch.Tensor) -> torch.Tensor:
        noise = torch.randn(centres.shape, generator=generator)
        return centres + NOISE * F.normalize(noise, dim=-1)

    centres = F.normalize(torch.randn(N_CLUSTERS, WIDTH, generator=generator), dim=-1)
    of_item = torch.randint(N_CLUSTERS, (N_ITEMS,), generator=generator)
    of_user = torch.randint(N_CLUSTERS, (USERS,), generator=generator)
    return near(centres[of_item]), near(centres[of_user])


def timed(task) -> tuple[float, object]:
    """Least seconds of the process's own, and what the task gives."""
    times = []
    for _ in range(ROUNDS):
        started = time.process_time()
        found = task()
        times.append(time.process_time() - started)
    return min(times), found


def measure() -> dict[str, float]:
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    vectors, queries = planted()
    exact = (queries @ vectors.T).topk(TOP).indices
    figures: dict[str, float] = {}

    def keep(name: str, build_s: float, search) -> None:
        seconds, found = timed(search)
        # On the list is enough: what is listed is scored anew.
        recall = (found[:, :, None] == exact[:, None]).any(1).float().mean()
        figures[f"index_{name}_ms"] = 1000 * seconds / USERS
        figures[f"index_{name}_recall"] = float(recall)
        figures[f"index_{name}_build_s"] = build_s

    for dtype, name in ((torch.bfloat16, "blocks_bf16"), (torch.float32, "blocks_fp32")):
        started = time.process_time()
        blocks = BlockIndex(torch.arange(N_ITEMS), vectors.__getitem__, dtype)
        keep(name, time.process_time() - started, lambda b=blocks: b.best(queries, SHORT_LIST))
    quantizer = faiss.IndexFlatIP(WIDTH)
    lists = faiss.IndexIVFFlat(quantizer, WIDTH, N_LISTS, faiss.METRIC_INNER_PRODUCT)
    started = time.process_time()
    lists.train(vectors[: 64 * N_LISTS].numpy())
    lists.add(vectors.numpy())
    build_s = time.process_time() - started
    for probes in PROBES:
        lists.nprobe = probes
        keep(
            f"faiss_{probes}",
            build_s,
            lambda: torch.from_numpy(lists.search(queries.numpy(), SHORT_LIST)[1]),
        )
    return figures


if __name__ == "__main__":
    figures_to_file(measure)
