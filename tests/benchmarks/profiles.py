"""Is what ``--profile=auto`` chooses as good as what is known to be? On samples of data sets.

python tests/benchmarks/profiles.py --data=DIR Beauty Yelp   these; the others' figures stay
python tests/benchmarks/profiles.py --shops Beauty           shops cut out of it by category
python tests/benchmarks/profiles.py --table                  no training: the page's table alone

Of each data set 1% of the users are drawn, as small shops are small, or all that is of one category
and is left at five interactions a user and an item; STORE is trained under each of ``SETTINGS`` and
judged on validation with a gap of one, and so are models that stand beside it.
results/profiles.json keeps the figures, docs/profiles.md shows them.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from recbole_store.experiments.results.rank_metrics import per_user
from recbole_store.settings.property_files import properties_folder, recbole_folder

ROOT = Path(__file__).resolve().parent.parent.parent
RESULTS, PAGE = ROOT / "results" / "profiles.json", ROOT / "docs" / "profiles.md"
START, END = "<!-- profiles -->", "<!-- end of profiles -->"
SETTINGS = {  # as the table calls them -> how they are asked for
    "auto": ["--model=STORE"],
    "defaults": ["--model=STORE", "--profile=none"],
    "text": ["--model=STORE:text"],
    "text, longer stage 1": [
        *("--model=STORE:text", "--tokenizer_batch_size=16", "--tokenizer_epochs=36"),
        *("--eval_step=1", "--stopping_step=9"),
    ],
    "short_histories": ["--model=STORE:short_histories"],
    "Neighbours": ["--model=Neighbours"],
    "TextTower:with_company": ["--model=TextTower:with_company"],
    "SASRecAll:with_scores": ["--model=SASRecAll:with_scores"],
}
OTHERS = [label for label, words in SETTINGS.items() if not words[0].startswith("--model=STORE")]
SHARES = (0.01,)
LEAST = 5  # interactions of each user and item of a shop, as Beauty itself has
SHOPS = {"skin-care": "Skin Care", "hair-care": "Hair Care", "makeup": "Makeup"}
METRIC, SEED = "ndcg@10", 2020


class Atomic:
    """The atomic files of a data set, as lines of fields."""

    def __init__(self, source: Path):
        self.source = source
        self.header, self.rows = self._read("inter")
        self.item_header, self.items = self._read("item")
        columns = [field.partition(":")[0] for field in self.header]
        self.user, self.item = columns.index("user_id"), columns.index("item_id")
        self.item_columns = [field.partition(":")[0] for field in self.item_header]

    def _read(self, kind: str) -> tuple[list[str], list[list[str]]]:
        path = self.source / f"{self.source.name}.{kind}"
        header, *rows = path.read_text(encoding="utf-8").splitlines()
        return header.split("\t"), [row.split("\t") for row in rows]

    def write(self, rows: list[list[str]], name: str, folder: Path) -> dict:
        """Write some of the interactions, with their items; returns what they hold."""
        items = {row[self.item] for row in rows}
        of_item = self.item_columns.index("item_id")
        parts = {
            "inter": [self.header, *rows],
            "item": [self.item_header, *(row for row in self.items if row[of_item] in items)],
        }
        folder = folder / name
        folder.mkdir(parents=True)
        for kind, lines in parts.items():
            text = "\n".join("\t".join(line) for line in lines) + "\n"
            (folder / f"{name}.{kind}").write_text(text, encoding="utf-8")
        known = properties_folder() / "dataset" / f"{self.source.name}.yaml"
        if known.is_file():
            shutil.copyfile(known, folder / f"{name}.yaml")
        users = {row[self.user] for row in rows}
        return {"users": len(users), "items": len(items), "interactions": len(rows)}

    def of_some_users(self, share: float) -> list[list[str]]:
        users = sorted({row[self.user] for row in self.rows})
        drawn = set(random.Random(SEED).sample(users, round(share * len(users))))
        return [row for row in self.rows if row[self.user] in drawn]

    def of_category(self, category: str) -> list[list[str]]:
        """Interactions with items of a category below the topmost, down to a core of LEAST."""
        of_item, path = (self.item_columns.index(name) for name in ("item_id", "categories"))
        inside = {row[of_item] for row in self.items if row[path].split(", ")[1:2] == [category]}
        rows, n_before = [row for row in self.rows if row[self.item] in inside], -1
        while len(rows) != n_before:
            n_before = len(rows)
            for column in (self.user, self.item):
                counts = Counter(row[column] for row in rows)
                rows = [row for row in rows if counts[row[column]] >= LEAST]
        return rows


def measure(words: list[str], name: str, data_path: Path) -> dict:
    """Train STORE on a sample; its validation, and a standard error of it.

    The error is that of as many values as the test has, which ranks the same users.
    """
    run = data_path / "run"
    shutil.rmtree(run, ignore_errors=True)
    command = [sys.executable, str(ROOT / "run_recbole_store.py"), *words, f"--dataset={name}"]
    command += [f"--data_path={data_path}", f"--run_dir={run}", "--filter_history=True"]
    command += ["--validation_gap=1", "--no_table", "--show_progress=False", "-q"]
    started = time.perf_counter()
    subprocess.run(command, check=True)
    result = json.loads((run / "result.json").read_text(encoding="utf-8"))
    values = per_user(np.load(run / "ranked.npz")["ranks_filtered"], METRIC)
    return {
        METRIC: result["valid"][METRIC],
        "error": float(values.std(ddof=1) / len(values) ** 0.5),
        "epochs": result["times"]["epochs"],
        "seconds": round(time.perf_counter() - started),
        "chosen": result.get("profile", {}).get("settings"),
    }


def table(kept: dict) -> str:
    """A row a sample: what each settings have, and whether auto is within an error of the best."""
    heads = ["data", "users", "items", "interactions", *SETTINGS, "auto is behind STORE's best by"]
    lines = ["| " + " | ".join(heads) + " |", "| --- |" + " ---: |" * (len(heads) - 1)]
    for name, found in sorted(kept.items()):
        values = {label: found["measured"].get(label) for label in SETTINGS}
        best = max(v[METRIC] for label, v in values.items() if v and label not in OTHERS)
        highest = max(v[METRIC] for v in values.values() if v)
        cells = [name, *(f"{found[key]:,}" for key in ("users", "items", "interactions"))]
        for value in values.values():
            shown = f"{value[METRIC]:.4f} ±{value['error']:.4f}" if value else "-"
            cells.append(f"**{shown}**" if value and value[METRIC] == highest else shown)
        behind = best - values["auto"][METRIC]
        cells.append(f"{behind:.4f}, {behind / values['auto']['error']:.1f} errors")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets", nargs="*")
    parser.add_argument("--data", type=Path, default=ROOT / "dataset")
    parser.add_argument("--shares", type=float, nargs="+", default=SHARES)
    parser.add_argument("--only", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--shops", action="store_true")
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    kept = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    for dataset in [] if arguments.table else arguments.datasets:
        source = arguments.data / dataset
        if dataset == "ml-100k":
            source = recbole_folder() / "dataset_example" / dataset
        files = Atomic(source)
        if arguments.shops:
            cuts = {name: (files.of_category, asked) for name, asked in SHOPS.items()}
        else:
            cuts = {
                f"{share * 100:g}percent": (files.of_some_users, share)
                for share in arguments.shares
            }
        for of, (cut, asked) in cuts.items():
            name = f"{dataset}-{of}"
            with tempfile.TemporaryDirectory() as folder:
                held = files.write(cut(asked), name, Path(folder))
                kept.setdefault(name, {"measured": {}}).update(held)
                for label in arguments.only:
                    print(name, label, flush=True)
                    found = measure(SETTINGS[label], name, Path(folder))
                    kept[name]["measured"][label] = found
                    RESULTS.write_text(json.dumps(dict(sorted(kept.items())), indent=1) + "\n")
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{START}\n{table(kept)}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
