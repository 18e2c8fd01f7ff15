"""Is what ``--profile=auto`` chooses as good as what is known to be? On samples of data sets.

python tests/benchmarks/profiles.py --data=DIR Beauty Yelp   these; the others' figures stay
python tests/benchmarks/profiles.py --table                  no training: the page's table alone

Of each data set 1% of the users are drawn, as small shops are small; STORE is trained under
each of ``SETTINGS`` and judged on validation with a gap of one. results/profiles.json keeps the
figures, docs/profiles.md shows them.
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
}
SHARES = (0.01,)
METRIC, SEED = "ndcg@10", 2020


def sample(source: Path, name: str, share: float, folder: Path) -> dict:
    """Write the atomic files of a share of the users of ``source``; returns what they hold."""
    lines = (source / f"{source.name}.inter").read_text(encoding="utf-8").splitlines()
    header, rows = lines[0].split("\t"), [line.split("\t") for line in lines[1:]]
    columns = [field.partition(":")[0] for field in header]
    user, item = columns.index("user_id"), columns.index("item_id")
    users = sorted({row[user] for row in rows})
    drawn = set(random.Random(SEED).sample(users, round(share * len(users))))
    rows = [row for row in rows if row[user] in drawn]
    items = {row[item] for row in rows}
    folder = folder / name
    folder.mkdir(parents=True)
    kept = ["\t".join(row) for row in (header, *rows)]
    (folder / f"{name}.inter").write_text("\n".join(kept) + "\n", encoding="utf-8")
    lines = (source / f"{source.name}.item").read_text(encoding="utf-8").splitlines()
    of_item = [f.partition(":")[0] for f in lines[0].split("\t")].index("item_id")
    kept = [lines[0], *(line for line in lines[1:] if line.split("\t")[of_item] in items)]
    (folder / f"{name}.item").write_text("\n".join(kept) + "\n", encoding="utf-8")
    known = properties_folder() / "dataset" / f"{source.name}.yaml"
    if known.is_file():
        shutil.copyfile(known, folder / f"{name}.yaml")
    return {"users": len(drawn), "items": len(items), "interactions": len(rows)}


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
    heads = ["data", "users", "items", "interactions", *SETTINGS, "auto is behind the best by"]
    lines = ["| " + " | ".join(heads) + " |", "| --- |" + " ---: |" * (len(heads) - 1)]
    for name, found in sorted(kept.items()):
        values = {label: found["measured"].get(label) for label in SETTINGS}
        best = max(v[METRIC] for label, v in values.items() if v and label != "Neighbours")
        cells = [name, *(f"{found[key]:,}" for key in ("users", "items", "interactions"))]
        for value in values.values():
            shown = f"{value[METRIC]:.4f} ±{value['error']:.4f}" if value else "-"
            cells.append(f"**{shown}**" if value and value[METRIC] == best else shown)
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
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    kept = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    for dataset in [] if arguments.table else arguments.datasets:
        source = arguments.data / dataset
        if dataset == "ml-100k":
            source = recbole_folder() / "dataset_example" / dataset
        for share in arguments.shares:
            name = f"{dataset}-{share * 100:g}percent"
            with tempfile.TemporaryDirectory() as folder:
                held = sample(source, name, share, Path(folder))
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
