"""A results folder with planted ranks, as a comparison and its runs would leave it.

The right answers follow from the ranks. Some titles are ones that break careless pages.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from planted_runs import planted_result

from recbole_store.experiments.report.page.page import page
from recbole_store.experiments.results.results_folder import keep, read_runs

UGLY_TITLES = ("<b>&\"' </script>", "שלום עולם (1999)", "Crème brûlée 🍮", "<img src=http://x.y/z>")
FILTERS = ("unfiltered", "filtered")


@dataclass
class Planted:
    """What to plant; ``skill`` of a label is how near the top it puts targets."""

    root: Path
    dataset: str = "ml-planted"
    n_users: int = 60
    n_items: int = 40
    seeds: tuple[int, ...] = (2020, 2021)
    skill: dict[str, float] = field(
        default_factory=lambda: {
            "SASRec:tuned": 0.9,
            "STORE": 0.8,
            "STORE:without_alignment": 0.5,
            "Pop": 0.2,
        }
    )
    tokenized: tuple[str, ...] = ("STORE", "STORE:without_alignment")
    still_rising: tuple[str, ...] = ("STORE:without_alignment",)
    with_examples: bool = True
    changes: dict = field(default_factory=dict)  # of every result

    @property
    def results(self) -> Path:
        return self.root / "results"

    @property
    def data_path(self) -> Path:
        return self.root / "data"

    def write(self) -> Path:
        """Write everything; returns the results folder."""
        rng = np.random.default_rng(len(self.dataset))
        n = self.n_items
        self.titles = [*UGLY_TITLES, *(f"Film {i} (1990)" for i in range(len(UGLY_TITLES), n))][:n]
        self.raw_ids = np.array(["[PAD]", *(f"i{n:04d}" for n in range(n))])
        self.item_counts = np.concatenate([[0], rng.zipf(1.5, n).clip(1, 500)]).astype(np.int32)
        self.users = np.array([f"u{n}" for n in range(self.n_users)])
        self.targets = rng.integers(1, n + 1, self.n_users).astype(np.int32)
        self.lengths = rng.integers(3, 60, self.n_users).astype(np.int32)
        self.examples = self.users[:20]
        self.histories = np.zeros((len(self.examples), 10), dtype=np.int32)
        self.histories[:, 3:] = rng.integers(1, n + 1, (len(self.examples), 7))
        self.histories[:, -4:] = [1, 2, 3, 4]  # the ugly titles
        codes = [rng.integers(0, 8, n), rng.integers(0, 4, n), np.arange(n)]
        self.codes = np.stack(codes, axis=1).astype(np.int32)
        folder = self.data_path / self.dataset
        folder.mkdir(parents=True)
        lines = [f"{raw_id}\t{t}" for raw_id, t in zip(self.raw_ids[1:], self.titles, strict=True)]
        text = "\n".join(["item_id:token\ttitle:token_seq", *lines, ""])
        (folder / f"{self.dataset}.item").write_text(text, encoding="utf-8")
        for label in self.skill:
            for seed in self.seeds:
                keep(self._write_run(label, seed), self.results)
        return self.results

    def ranks(self, label: str, seed: int, history_filter: str) -> np.ndarray:
        """int [U]: planted ranks, a little better filtered than not."""
        rng = np.random.default_rng([seed, *label.encode()])
        ranks = 1 + (rng.random(self.n_users) ** (1 + 4 * self.skill[label]) * self.n_items)
        return np.maximum(1, ranks.astype(np.int32) - (history_filter == "filtered"))

    def lists(self, label: str, seed: int, history_filter: str) -> np.ndarray:
        """int [U, n_items]: random items, with the target at its rank and nowhere else."""
        rng, rows = np.random.default_rng(seed), []
        ranks = self.ranks(label, seed, history_filter)
        for target, rank in zip(self.targets, ranks, strict=True):
            others = rng.permutation(np.setdiff1d(np.arange(1, self.n_items + 1), target))
            rows.append(np.insert(others, rank - 1, target))
        return np.array(rows, dtype=np.int32)

    def ndcg(self, label: str, seed: int = 2020, history_filter: str = "unfiltered") -> np.ndarray:
        """float [U], of the first ten."""
        ranks = self.ranks(label, seed, history_filter)
        return np.where(ranks <= 10, 1 / np.log2(ranks + 1), 0)

    def path(self, label: str, seed: int = 2020) -> Path:
        """A run's result file."""
        return self.results / self.dataset / f"{label.replace(':', '-')}-seed{seed}.json"

    def _write_run(self, label: str, seed: int) -> Path:
        model, _, variant = label.partition(":")
        folder = self.root / "saved" / f"{label}-{self.dataset}-seed{seed}-20261122-165520"
        folder.mkdir(parents=True)
        kept = {f"items_{name}": self.lists(label, seed, name) for name in FILTERS}
        kept |= {f"ranks_{name}": self.ranks(label, seed, name) for name in FILTERS}
        np.savez(
            folder / "ranked.npz",
            users=self.users,
            targets=self.targets,
            target_counts=self.item_counts[self.targets],
            history_lengths=self.lengths,
            item_counts=self.item_counts,
            raw_ids=self.raw_ids,
            **kept,
        )
        if self.with_examples:
            examples = {"users": self.examples, "histories": self.histories}
            np.savez(folder / "histories.npz", **examples)
            if label in self.tokenized:
                items = {"raw_ids": self.raw_ids[1:], "semantic_ids": self.codes}
                np.savez(folder / "items.npz", **items)
        tests = {name: {"ndcg@10": self.ndcg(label, seed, name).mean()} for name in FILTERS}
        top = tests["unfiltered"]["ndcg@10"]
        shape = [0.4, 0.8, 1.0] if label in self.still_rising else [0.4, 1.0, 0.8]
        curve = [
            {"epoch": n, "train_s": 50.0, "valid_s": 10.0, "valid_score": top * x}
            for n, x in enumerate(shape)
        ]
        result = planted_result([1]) | {
            "model": model,
            "variant": variant,
            "dataset": self.dataset,
            "seed": seed,
            "valid": {"ndcg@10": top},
            "test": tests["unfiltered"],
            "tests": tests,
            "converged": False if self.skill[label] > 0.2 else True,
            "protocol": {"filter_history": False, "n_test": self.n_users, "n_items": self.n_items},
            "times": {"epochs": 3, "fit_s": 600 * self.skill[label] ** 3, "test_s": 3.0},
            "curve": curve if model != "Pop" else curve[:1],
            "hardware": {"device": "cpu", "name": "AMD EPYC", "cores": 2, "torch_threads": 1},
            "git_commit": "0fd04da12345",
            "run_dir": str(folder),
        }
        if label in self.tokenized:
            result["store"] = {"tokenizer_s": 60.0, "collision_rate": 0.25}
        result |= self.changes
        (folder / "result.json").write_text(json.dumps(result))
        return folder


def page_of(planted: Planted, **changes) -> str:
    """The report of a planted folder."""
    runs = read_runs(planted.results)
    return page(runs, "2026-11-22", planted.results, planted.data_path, {}, **changes)
