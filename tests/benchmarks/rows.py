"""Preparing a table of many rows, whose users and items grow with it: peak memory and time.

A million rows and ten; PREPARE_ROWS=100000000 is a third size: an hour and 20 GB of disk.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from machine import figures_to_file

SIZES = [10**6, 10**7, *([int(os.environ["PREPARE_ROWS"])] if "PREPARE_ROWS" in os.environ else [])]
PART = 10**6  # rows that are drawn at a time
CHILD = """
import json, os, sys
from recbole_store.data.prepare import command
status = command.main(sys.argv[1:])
# Not ru_maxrss, which begins with what the parent of a process held.
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps([int(peak.split()[1]) / 2**20, sum(os.times()[:2])]))
sys.exit(status)
"""


def write_table(path: Path, n_rows: int) -> None:
    """Twenty rows a user and a hundred an item on average, in no order of time."""
    rng = np.random.default_rng(5)
    with path.open("w") as file:
        file.write("user,item,time,title\n")
        for start in range(0, n_rows, PART):
            n = min(PART, n_rows - start)
            users = rng.integers(n_rows // 20, size=n).tolist()
            items = rng.integers(n_rows // 100, size=n).tolist()
            times = rng.integers(1_500_000_000, 1_700_000_000, size=n).tolist()
            rows = zip(users, items, times, strict=True)
            file.writelines(f"u{u},i{i},{t},Title {i} of {i % 97}\n" for u, i, t in rows)


def cost(n_rows: int) -> tuple[float, float]:
    """Peak memory in GB and processor time in seconds, with prepare's own limits."""
    with tempfile.TemporaryDirectory() as folder:
        write_table(Path(folder) / "table.csv", n_rows)
        words = ["table", "--raw=table.csv", "--out=toy", "--user=user", "--item=item"]
        words += ["--time=time", "--text", "title", "--k_core=5"]
        done = subprocess.run(
            [sys.executable, "-c", CHILD, *words],
            cwd=folder,
            env={**os.environ, "RECBOLE_STORE_REGISTER": "0"},
            capture_output=True,
            text=True,
            check=True,
        )
        card = json.loads((Path(folder) / "toy" / "toy.card.json").read_text())
        assert card["rows"]["raw"] == n_rows and card["interactions"] > 0.99 * n_rows
    peak, seconds = json.loads(done.stdout.splitlines()[-1])
    return peak, seconds


def measure() -> dict[str, float]:
    figures = {}
    for n_rows in SIZES:
        size = f"1e{len(str(n_rows)) - 1}"
        figures[f"prepare_peak_gb_{size}"], figures[f"prepare_cpu_s_{size}"] = cost(n_rows)
    return figures


if __name__ == "__main__":
    figures_to_file(measure)
