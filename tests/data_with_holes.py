"""A data set with holes, of every kind of field that RecBole has, and what RecBole makes of it.

It needs RecBole alone, so that its hashes can be made where nothing is mended.
"""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import numpy as np
import torch

N_USERS, N_ITEMS = 30, 25

SHARED = {
    "load_col": {
        "inter": ["user_id", "item_id", "timestamp", "stars"],
        "user": ["user_id", "age", "job"],
        "item": ["item_id", "genre", "tags", "price", "marks"],
    },
    "gpu_id": "",
    "show_progress": False,
    "exact_time_order": False,  # RecBole's own order, as it is without the plugin
}
NUMBERS = {"numerical_features": ["age", "price", "marks"]}
DISCRETE = {
    "age": {"method": "ED", "bucket": 5},
    "price": {"method": "LD"},
    "marks": {"method": "ED", "bucket": 4},
}

# What is asked of RecBole: name -> model, data set and settings.
CASES = {
    "plain": ("FM", "holes", {}),
    "normalised": ("FM", "holes", {"normalize_all": True}),
    "numbers": ("FM", "holes", {**NUMBERS, "normalize_field": ["age", "marks"]}),
    "discretised": ("FM", "holes", {**NUMBERS, "discretization": DISCRETE}),
    "histories": ("SASRec", "holes", {"train_neg_sample_args": None}),
    "histories of numbers": (
        "SASRec",
        "holes",
        {"train_neg_sample_args": None, **NUMBERS, "discretization": DISCRETE},
    ),
    "benchmark files": (
        "SASRec",
        "parts",
        {
            "train_neg_sample_args": None,
            "benchmark_filename": ["train", "valid", "test"],
            "alias_of_item_id": ["item_id_list"],
            "load_col": {"inter": ["user_id", "item_id", "item_id_list"]},
        },
    ),
    "knowledge": (
        "CFKG",
        "holes",
        {
            "load_col": {
                **SHARED["load_col"],
                "kg": ["head_id", "relation_id", "tail_id"],
                "link": ["item_id", "entity_id"],
            },
            "alias_of_item_id": ["liked"],
        },
    ),
}
CASES["knowledge"][2]["load_col"]["user"] = ["user_id", "age", "job", "liked"]


def write_holes(data_path: Path) -> None:
    """Write the data sets ``holes`` and ``parts``; no random number of theirs depends on NumPy."""
    rng = random.Random(7)

    def some(value) -> str:
        return "" if rng.random() < 0.3 else str(value)

    def several(values) -> str:
        return some(" ".join(str(value) for value in values))

    def half() -> float:  # sums of halves are exact in any order
        return rng.randrange(40) / 2

    users = [f"u{n}" for n in range(N_USERS)]
    items = [f"i{n}" for n in range(N_ITEMS)]
    folder = data_path / "holes"
    inter, histories = ["user_id:token\titem_id:token\ttimestamp:float\tstars:float"], {}
    for user in users:
        histories[user] = rng.sample(items, rng.randrange(4, 12))
        for time, item in enumerate(histories[user]):
            inter.append(f"{user}\t{item}\t{time}\t{some(rng.randrange(1, 6))}")
    _write(folder / "holes.inter", inter)
    lines = ["user_id:token\tage:float\tjob:token\tliked:token_seq"]
    for user in users:
        liked = several(rng.sample(items, rng.randrange(1, 4)))
        lines.append(f"{user}\t{some(half())}\t{some(f'job{rng.randrange(4)}')}\t{liked}")
    _write(folder / "holes.user", lines)
    lines = ["item_id:token\tgenre:token\ttags:token_seq\tprice:float\tmarks:float_seq"]
    for item in items[:-5]:  # five have no line at all
        tags = several(f"tag{rng.randrange(6)}" for _ in range(rng.randrange(1, 4)))
        marks = several(half() for _ in range(rng.randrange(1, 4)))
        genre = some(f"genre{rng.randrange(3)}")
        lines.append(f"{item}\t{genre}\t{tags}\t{some(half())}\t{marks}")
    _write(folder / "holes.item", lines)
    _write(
        folder / "holes.link", ["item_id:token\tentity_id:token", *(f"{i}\te{i}" for i in items)]
    )
    lines = ["head_id:token\trelation_id:token\ttail_id:token"]
    lines += [f"ei{n}\tr{rng.randrange(2)}\tei{rng.randrange(N_ITEMS)}" for n in range(N_ITEMS)]
    _write(folder / "holes.kg", lines)
    header = "user_id:token\titem_id_list:token_seq\titem_id:token"
    for back, part in enumerate(("test", "valid", "train"), start=1):
        rows = [f"{user}\t{' '.join(h[:-back])}\t{h[-back]}" for user, h in histories.items()]
        _write(data_path / "parts" / f"parts.{part}.inter", [header, *rows])


def _write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def config_of(case: str, data_path: Path, model: str | None = None, **more):
    """RecBole's Config of a case, for its own model or another."""
    from recbole.config import Config

    own, dataset, settings = CASES[case]
    settings = {**SHARED, **settings, "data_path": str(data_path), **more}
    return Config(model=model or own, dataset=dataset, config_dict=settings)


def digest(dataset) -> str:
    """Hash of all ids and of every tensor of a RecBole data set and its splits; 16 hex digits."""
    torch.manual_seed(0)  # of random splits
    found = hashlib.sha256()
    for field, raw_ids in sorted(dataset.field2id_token.items()):
        found.update("\t".join(map(str, [field, *raw_ids])).encode())
    splits = dataset.build()
    for split in splits:
        for name in ("inter_feat", "user_feat", "item_feat", "kg_feat"):
            rows = getattr(split, name, None)
            for field, values in sorted(rows.interaction.items() if rows is not None else ()):
                values = torch.as_tensor(values)
                found.update(f"{name} {field} {values.dtype} {tuple(values.shape)}".encode())
                found.update(np.ascontiguousarray(values.numpy()).tobytes())
    return found.hexdigest()[:16]
