"""What is chosen by: the size and shape of the data, and of the machine."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from recbole_store.data.item_texts import join_fields, read_item_texts
from recbole_store.errors import ItemTextError
from recbole_store.settings.dataset_files import check_dataset

_CGROUP = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True)
class DataFacts:
    """A data set as its files have it, before RecBole's filters.

    Attributes:
        n_windows: rows of a training epoch, each of up to ``MAX_ITEM_LIST_LENGTH`` targets.
        words: median of the items' texts, of those that have one.
        with_text: share of items that have a text.
        same_text: items that share the most frequent text, or have none.
    """

    n_users: int
    n_items: int
    n_interactions: int
    n_windows: int
    words: float
    with_text: float
    same_text: int

    @property
    def per_user(self) -> float:
        return self.n_interactions / max(self.n_users, 1)

    @property
    def per_item(self) -> float:
        return self.n_interactions / max(self.n_items, 1)

    def __str__(self) -> str:
        texts = f"texts of {self.words:.0f} words" if self.with_text else "no texts"
        return (
            f"{self.n_users:,} users, {self.n_items:,} items, {self.per_user:.1f} interactions a "
            f"user, {self.per_item:.1f} an item, {texts}"
        )


@dataclass(frozen=True)
class MachineFacts:
    """Where the run will run."""

    cores: int
    memory_gb: float
    gpu: str | None
    gpu_memory_gb: float = 0.0

    def __str__(self) -> str:
        gpu = f"{self.gpu} ({self.gpu_memory_gb:.0f} GB)" if self.gpu else "no GPU"
        cores = "one core" if self.cores == 1 else f"{self.cores} cores"
        return f"{cores}, {self.memory_gb:.0f} GB of memory, {gpu}"


def data_facts(settings: dict, dataset: str) -> DataFacts:
    """Count what a data set's files hold.

    Args:
        settings: with all defaults.

    Raises:
        SettingsError: there is no such data set.
    """
    folder = check_dataset(settings, dataset)
    lengths: Counter[str] = Counter()
    items: set[str] = set()
    parts = settings.get("benchmark_filename")
    for name in [f"{dataset}.{part}.inter" for part in parts] if parts else [f"{dataset}.inter"]:
        with (folder / name).open(encoding=settings.get("encoding") or "utf-8") as lines:
            header = lines.readline().rstrip("\r\n").split(settings["field_separator"])
            columns = [field.partition(":")[0] for field in header]
            user, item = (columns.index(settings[f"{k}_ID_FIELD"]) for k in ("USER", "ITEM"))
            for line in lines:
                values = line.rstrip("\r\n").split(settings["field_separator"])
                if len(values) > max(user, item):
                    lengths[values[user]] += 1
                    items.add(values[item])
    texts = _texts(settings, dataset, folder, sorted(items))
    told = [len(text.split()) for text in texts if text]
    return DataFacts(
        n_users=len(lengths),
        n_items=len(items),
        n_interactions=lengths.total(),
        n_windows=sum(_windows(n, settings["MAX_ITEM_LIST_LENGTH"]) for n in lengths.values()),
        words=median(told) if told else 0.0,
        with_text=len(told) / max(len(items), 1),
        same_text=max(Counter(texts).values(), default=0),
    )


def _windows(length: int, most: int) -> int:
    """Training rows of a user; leave-one-out takes two of the interactions, and the first is no
    target.

    Example: 53 interactions, windows of 50 -> 1; 54 -> 2; 3 -> 0
    """
    return -(-max(length - 3, 0) // most)


def _texts(settings: dict, dataset: str, folder: Path, items: list[str]) -> list[str]:
    try:
        fields = read_item_texts(
            folder,
            dataset,
            ["", *items],
            settings["ITEM_ID_FIELD"],
            settings["item_text"],
            settings["field_separator"],
            settings.get("encoding") or "utf-8",
        )
    except ItemTextError:  # which the run itself tells of, if its model reads texts
        return []
    return [join_fields(of_item) for of_item in fields[1:]]


def machine_facts(settings: dict) -> MachineFacts:
    """What this machine has.

    Args:
        settings: with all defaults, which may keep a run off the GPU.
    """
    import psutil
    import torch

    has_affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    memory = psutil.virtual_memory().total
    if _CGROUP.is_file() and (limit := _CGROUP.read_text().strip()).isdecimal():
        memory = min(memory, int(limit))
    wanted = settings["use_gpu"] and str(settings["gpu_id"]) != ""
    if not (wanted and torch.cuda.is_available()):
        return MachineFacts(cores, memory / 2**30, None)
    gpu = torch.cuda.get_device_properties(0)
    return MachineFacts(cores, memory / 2**30, gpu.name, gpu.total_memory / 2**30)
