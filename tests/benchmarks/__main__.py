"""Measure, keep the figures in results/bench.json, and show them in README.

python tests/benchmarks              all parts, one after the other, each in its own process
python tests/benchmarks decode trie  these parts; the others' figures stay
python tests/benchmarks --table      no measuring: README from results/bench.json
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import THREADS, describe
from table import RESULTS, show_in_readme

FOLDER = Path(__file__).resolve().parent
# Part: what its figures' names begin with.
PARTS = {
    "decode": ("decode_",),
    "trie": ("trie_",),
    "catalogue": ("eval_",),
    "tokenizer": ("tokenizer_",),
    "epoch": ("store_", "train_", "exact_"),
    "windows": ("window_",),
    "growth": ("growth_",),
    "large": ("large_",),
    "index": ("index_",),
    "rows": ("prepare_",),
    "serving": ("serving_",),
}


def main(arguments: list[str]) -> int:
    chosen = arguments or list(PARTS)
    if unknown := set(chosen) - {*PARTS, "--table"}:
        print(f"No part {', '.join(sorted(unknown))}: there are {', '.join(PARTS)}.")
        return 2
    if chosen != ["--table"]:
        machine = describe()
        kept = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
        if any(kept.get(key) != value for key, value in machine.items()):
            if kept and len(chosen) < len(PARTS):
                print("The kept figures are another machine's or version's: they are dropped.")
            kept = {}
        for part in chosen:
            print(f"{part} ...", flush=True)
            started = time.perf_counter()
            measured = run_part(part)
            kept = {name: v for name, v in kept.items() if not name.startswith(PARTS[part])}
            kept |= machine | measured | {f"{PARTS[part][0]}threads": THREADS}
            kept[f"{PARTS[part][0]}part_s"] = time.perf_counter() - started
            text = json.dumps(dict(sorted(kept.items())), indent=1)
            RESULTS.write_text(text + "\n")
    show_in_readme()
    return 0


def run_part(part: str) -> dict[str, float]:
    """The figures of one part, from a process of its own: memory and threads are its own, too."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "figures.json"
        quiet = {"PYTHONWARNINGS": "ignore", "TOKENIZERS_PARALLELISM": "false"}
        threads = {"OMP_NUM_THREADS": str(THREADS)}
        subprocess.run(
            [sys.executable, str(FOLDER / f"{part}.py"), str(out)],
            check=True,
            cwd=folder,
            env={**os.environ, **threads, **quiet},
        )
        figures = json.loads(out.read_text())
    assert all(name.startswith(PARTS[part]) for name in figures), sorted(figures)
    return figures


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
