"""Run folders with planted ranks, as a finished run leaves them: every figure is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

N_ITEMS, DEPTH = 41, 20  # with padding; items of a list


def planted_ranked(ranks, filtered=None, users=None, targets=None) -> dict[str, np.ndarray]:
    """The arrays of ``ranked.npz``, given each user's rank of the target (0: not found).

    Item i has 100 - i training interactions. User u's target is item u % 40 + 1; its history has
    u + 1 items. Lists hold the target at its rank and items from 40 downwards at the other places.
    """
    n = len(ranks)
    users = [f"u{u}" for u in range(n)] if users is None else users
    targets = np.arange(n) % (N_ITEMS - 1) + 1 if targets is None else np.asarray(targets)
    item_counts = np.array([0, *(100 - item for item in range(1, N_ITEMS))])
    arrays = {
        "users": np.array(users),
        "targets": targets.astype(np.int32),
        "target_counts": item_counts[targets].astype(np.int32),
        "history_lengths": np.arange(1, n + 1, dtype=np.int32),
        "item_counts": item_counts.astype(np.int32),
        "raw_ids": np.array(["[PAD]", *(f"i{item}" for item in range(1, N_ITEMS))]),
    }
    for name, own in (("unfiltered", ranks), ("filtered", ranks if filtered is None else filtered)):
        arrays[f"ranks_{name}"] = np.array(own, dtype=np.int32)
        arrays[f"items_{name}"] = np.array(
            [_list(rank, target) for rank, target in zip(own, targets, strict=True)], dtype=np.int32
        )
    return arrays


def _list(rank: int, target: int) -> list[int]:
    others = [item for item in range(N_ITEMS - 1, 0, -1) if item != target][:DEPTH]
    return (others if rank == 0 else [*others[: rank - 1], target, *others[rank - 1 :]])[:DEPTH]


def metrics_by_hand(ranks, topk=(1, 10)) -> dict[str, float]:
    """What RecBole's evaluator gives, rounded to four decimals as it does."""
    found = {}
    for k in topk:
        hits = [rank if 1 <= rank <= k else None for rank in ranks]
        found[f"recall@{k}"] = np.mean([rank is not None for rank in hits])
        found[f"ndcg@{k}"] = np.mean([1 / np.log2(rank + 1) if rank else 0 for rank in hits])
        found[f"mrr@{k}"] = np.mean([1 / rank if rank else 0 for rank in hits])
    return {name: round(float(value), 4) for name, value in found.items()}


def planted_result(ranks, filtered=None, **changes) -> dict:
    """The content of ``result.json`` that goes with the ranks."""
    unfiltered, topk = metrics_by_hand(ranks), [1, 10]
    result = {
        "model": "Pop",
        "variant": "",
        "dataset": "planted",
        "seed": 2020,
        "protocol_hash": "0" * 16,
        "result_version": 1,
        "hashed_settings": {"epochs": 3},
        "valid_metric": "NDCG@10",
        "valid": {"ndcg@10": 0.5},
        "test": unfiltered,
        "tests": {
            "unfiltered": unfiltered,
            "filtered": metrics_by_hand(ranks if filtered is None else filtered),
        },
        "protocol": {
            "filter_history": False,
            "max_item_list_length": 50,
            "n_users": len(ranks),
            "n_test": len(ranks),
        },
        "times": {"epochs": 3, "fit_s": 12.34, "epoch_s": 4.0, "test_s": 90.0, "total_s": 110.0},
        "sizes": {"trained_parameters": 1234},
        "converged": True,
        "settings": {"topk": topk},
        "versions": {"torch": "2.13.0"},
    }
    return result | changes


def write_run(run_dir: Path, ranks, filtered=None, users=None, **changes) -> Path:
    """A run folder; ``changes`` replace entries of its result."""
    run_dir.mkdir(parents=True)
    np.savez(run_dir / "ranked.npz", **planted_ranked(ranks, filtered, users))
    result = planted_result(ranks, filtered, **changes)
    (run_dir / "result.json").write_text(json.dumps(result))
    return run_dir
