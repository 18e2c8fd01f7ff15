"""A results folder with planted ranks, as a comparison and its runs would leave it.

The right answers follow from the ranks, and results.csv is written here, not by the code under
test. Some titles are ones that break careless pages.
"""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

UGLY_TITLES = ("<b>&\"' </script>", "שלום עולם (1999)", "Crème brûlée 🍮", "<img src=http://x.y/z>")
FILTERS = ("unfiltered", "filtered")
CUTOFFS = (5, 10, 20)
K = 50
N_LEVELS = 3


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
    not_converged: tuple[str, ...] = ("STORE:without_alignment",)
    without_folder: tuple[str, ...] = ("STORE:without_alignment",)
    titles: list[str] | None = None

    @property
    def results(self) -> Path:
        return self.root / "results"

    def write(self) -> Path:
        """Write everything; returns the results folder."""
        self._plant_data()
        rows = []
        for label in self.skill:
            for seed in self.seeds:
                rows += self._write_run(label, seed)
        self.results.mkdir(exist_ok=True)
        header = ["dataset", "model", "variant", "seed", "slice", "metric", "value"]
        kept = []
        if (self.results / "results.csv").exists():  # a second data set
            kept = list(csv.reader((self.results / "results.csv").open(encoding="utf-8")))[1:]
        _write_csv(self.results / "results.csv", [header, *kept, *rows])
        self._write_protocol()
        return self.results

    def _plant_data(self) -> None:
        rng = np.random.default_rng(len(self.dataset))
        n = self.n_items
        titles = self.titles or [
            *UGLY_TITLES,
            *(f"Film {i} (1990)" for i in range(len(UGLY_TITLES), n)),
        ]
        self.texts = titles[:n]
        self.raw_ids = np.array(["[PAD]", *(f"i{n:04d}" for n in range(n))])
        popularity = rng.zipf(1.5, n).clip(1, 500)
        self.item_counts = np.concatenate([[0], popularity]).astype(np.int32)
        self.users = np.array([f"u{n}" for n in range(self.n_users)])
        share = popularity / popularity.sum()
        self.targets = rng.choice(np.arange(1, n + 1), self.n_users, p=share).astype(np.int32)
        self.lengths = rng.integers(3, 60, self.n_users).astype(np.int32)
        by_hash = sorted(self.users, key=lambda user: hashlib.sha256(user.encode()).hexdigest())
        self.examples = by_hash[:20]
        self.histories = np.zeros((len(self.examples), 10), dtype=np.int32)
        for row in self.histories:
            filled = rng.integers(4, 11)
            row[10 - filled :] = rng.integers(1, n + 1, filled)
            row[-4:] = [1, 2, 3, 4]  # the ugly titles
        self.codes = np.stack(
            [rng.integers(0, 8, n), rng.integers(0, 8, n), np.arange(n)], axis=1
        ).astype(np.int32)
        centres = rng.normal(size=(8, 16)) * 3
        self.points = (centres[self.codes[:, 0]] + rng.normal(size=(n, 16))).astype(np.float32)

    def ranks(self, label: str, seed: int, history_filter: str) -> np.ndarray:
        """int [U]: planted ranks, a little better filtered than not; 0 beyond K."""
        rng = np.random.default_rng([seed, *label.encode()])
        spread = rng.random(self.n_users) ** (1 + 4 * self.skill[label])
        ranks = 1 + (spread * self.n_items).astype(int)
        if history_filter == "filtered":
            ranks = np.maximum(1, ranks - 1)
        return np.where(ranks <= min(K, self.n_items), ranks, 0).astype(np.int32)

    def masks(self) -> dict[str, np.ndarray]:
        """The slices, counted in another way than the code under test does."""
        order = np.sort(self.item_counts[1:])[::-1].tolist()
        third, bounds = sum(order) / 3, []
        for n in (1, 2):
            place = next(i for i in range(len(order)) if sum(order[: i + 1]) >= n * third)
            bounds.append(order[place])
        counts = self.item_counts[self.targets]
        lengths = sorted(self.lengths.tolist())
        short = lengths[-(-len(lengths) // 3) - 1]
        medium = lengths[-(-2 * len(lengths) // 3) - 1]
        return {
            "all": counts >= 0,
            "target=head": counts >= bounds[0],
            "target=mid": (counts >= bounds[1]) & (counts < bounds[0]),
            "target=tail": counts < bounds[1],
            "history=short": self.lengths <= short,
            "history=medium": (self.lengths > short) & (self.lengths <= medium),
            "history=long": self.lengths > medium,
        }

    def _write_run(self, label: str, seed: int) -> list[list]:
        model, _, variant = label.partition(":")
        stem = "-".join(filter(None, [model, variant, f"seed{seed}"]))
        folder = self.root / "saved" / f"{stem}-{self.dataset}-20261122-165520"
        figures = self._figures(label, seed)
        path = self.path(label, seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self._result(label, seed, figures, str(folder))))
        arrays = {f"ranks_{f}": self.ranks(label, seed, f).astype(np.uint16) for f in FILTERS}
        for name in FILTERS:
            listed = self._lists(label, seed, name)[:, :10].ravel()
            arrays[f"recommended_{name}"] = np.bincount(listed, minlength=self.n_items + 1)
        np.savez_compressed(
            path.with_suffix(".npz"),
            users_digest=np.array(self.dataset),
            depth=np.array(min(K, self.n_items)),
            target_counts=self.item_counts[self.targets],
            history_lengths=self.lengths,
            item_counts=self.item_counts,
            **arrays,
        )
        if label not in self.without_folder:
            self._write_folder(folder, label, seed)
        return [
            [self.dataset, model, variant, seed, part, metric, format(value, ".6g")]
            for (part, metric), value in figures.items()
        ]

    def _figures(self, label: str, seed: int) -> dict[tuple[str, str], float]:
        found = {("", "fit_s"): 600 * self.skill[label] ** 3 + seed % 7, ("", "epochs"): 12}
        found["", "test_s"] = 3.0 * self.skill[label]
        if label in self.tokenized:
            found |= {("", "collision_rate"): 0.25, ("", "utilisation"): 1.0, ("", "distinct"): 30}
            found |= {("", "dead_codes"): 0, ("", "retokenized_same"): 0.5}  # the last is of old
            found["cold/full", "ndcg@10"] = 0.0213
            found["cold/only", "ndcg@10"] = 0.1532
            found["cold/full/reserved", "ndcg@10"] = 0.0402
        for name in FILTERS:
            ranks = self.ranks(label, seed, name)
            for part, mask in self.masks().items():
                if not mask.any():
                    continue
                found[f"{name}/{part}", "n_users"] = int(mask.sum())
                for k in CUTOFFS:
                    hit = (ranks[mask] > 0) & (ranks[mask] <= k)
                    gains = [
                        1 / np.log2(r + 1) if h else 0
                        for r, h in zip(ranks[mask], hit, strict=True)
                    ]
                    found[f"{name}/{part}", f"recall@{k}"] = float(hit.mean())
                    found[f"{name}/{part}", f"ndcg@{k}"] = float(np.mean(gains))
                    first = [1 / r if h else 0 for r, h in zip(ranks[mask], hit, strict=True)]
                    found[f"{name}/{part}", f"mrr@{k}"] = float(np.mean(first))
            found[f"{name}/all", "averagepopularity@10"] = 184.8237
            if label == "STORE:without_alignment":
                found[f"{name}/all", "certain_topk@10"] = 0.25
            found[f"{name}/all", "itemcoverage@10"] = 0.1 + 0.5 * self.skill[label]
        return found

    def _result(self, label: str, seed: int, figures: dict, folder: str) -> dict:
        model, _, variant = label.partition(":")
        top = figures["unfiltered/all", "ndcg@10"] * 1.1
        curve = [
            {
                "epoch": n,
                "train_s": 50 * self.skill[label],
                "valid_s": 2.0,
                "valid_score": round(top * (1 - 0.6 ** (n + 1)) - 0.002 * (n == 11), 4),
                "losses": [1.0],
            }
            for n in range(12 if model != "Pop" else 1)
        ]
        best = max(row["valid_score"] for row in curve)
        result = {
            "model": model,
            "variant": variant,
            "dataset": self.dataset,
            "seed": seed,
            "valid_metric": "NDCG@10",
            "valid": {"ndcg@10": best},
            "test": {"ndcg@10": round(figures["unfiltered/all", "ndcg@10"], 4)},
            "converged": label not in self.not_converged,
            "protocol": {
                "eval_args": {
                    "split": {"LS": "valid_and_test"},
                    "order": "TO",
                    "group_by": "user",
                    "mode": {"valid": "full", "test": "full"},
                },
                "filter_history": False,
                "exact_time_order": True,
                "max_item_list_length": 50,
                "n_users": self.n_users,
                "n_items": self.n_items,
                "n_interactions": int(self.item_counts.sum()),
                "n_test": self.n_users,
            },
            "times": {"epochs": len(curve)},
            "sizes": {
                "trained_parameters": 1 if model == "Pop" else 7_301_952,  # RecBole's, unused
                "peak_memory_gb": 2.5,
            },
            "curve": curve,
            "hardware": {"device": "cpu", "name": "AMD EPYC", "cores": 2, "torch_threads": 2},
            "git_commit": "0fd04da12345",
            "run_dir": folder,
        }
        if label in self.tokenized:
            result["store"] = {"tokenizer_s": 60.0}
            result["cold"] = {"n_items": 2, "n_users": 5}
        return result

    def _write_folder(self, folder: Path, label: str, seed: int) -> None:
        folder.mkdir(parents=True)
        lists = {f"items_{name}": self._lists(label, seed, name) for name in FILTERS}
        ranks = {f"ranks_{name}": self.ranks(label, seed, name) for name in FILTERS}
        np.savez_compressed(
            folder / "ranked.npz",
            users=self.users,
            targets=self.targets,
            target_counts=self.item_counts[self.targets],
            history_lengths=self.lengths,
            item_counts=self.item_counts,
            raw_ids=self.raw_ids,
            **lists,
            **ranks,
        )
        np.savez_compressed(
            folder / "histories.npz", users=np.array(self.examples), histories=self.histories
        )
        if label in self.tokenized:
            np.savez_compressed(
                folder / "items.npz",
                raw_ids=self.raw_ids[1:],
                semantic_ids=self.codes,
                points=self.points,
            )
            with (folder / "semantic_ids.tsv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, delimiter="\t", lineterminator="\n")
                writer.writerow(["item_id", "semantic_id", "text"])
                for raw_id, codes, text in zip(
                    self.raw_ids[1:], self.codes, self.texts, strict=True
                ):
                    writer.writerow([raw_id, " ".join(map(str, codes)), text])

    def _lists(self, label: str, seed: int, history_filter: str) -> np.ndarray:
        """int [U, K]: random items, with the target at its rank and nowhere else."""
        rng = np.random.default_rng(seed)
        depth = min(K, self.n_items)
        rows = np.zeros((self.n_users, depth), dtype=np.int32)
        for row, target, rank in zip(
            rows, self.targets, self.ranks(label, seed, history_filter), strict=True
        ):
            others = rng.permutation(np.setdiff1d(np.arange(1, self.n_items + 1), target))
            row[:] = np.insert(others, rank - 1 if rank else len(others), target)[:depth]
        return rows

    def _write_protocol(self) -> None:
        path = self.results / "protocol.json"
        content = json.loads(path.read_text()) if path.exists() else {"datasets": {}}
        content["fixed"] = {
            "ties": "items with equal scores in a planted order",
            "slices": {"target": "head is a third of <b>all</b> interactions", "history": "thirds"},
        }
        content["datasets"][self.dataset] = {
            "data_sha256": {"inter": "abc"},
            "slice_bounds": {"target=head": "at least 7 training interactions"},
        }
        path.write_text(json.dumps(content))

    def path(self, label: str, seed: int = 2020) -> Path:
        """A run's result file."""
        return self.results / self.dataset / f"{label.replace(':', '-')}-seed{seed}.json"

    def change(self, label: str, seed: int = 2020, **parts: dict) -> None:
        """Change entries of parts of a run's result."""
        result = json.loads(self.path(label, seed).read_text())
        for name, entries in parts.items():
            result[name] = {**result.get(name, {}), **entries}
        self.path(label, seed).write_text(json.dumps(result))


def _write_csv(path: Path, rows: list[list]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
