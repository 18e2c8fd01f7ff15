"""A million rows with long texts, in memory that neither their number nor their texts decide."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys

import numpy as np
import pytest
from planted_data import ROOT

CHILD = """
import sys
from recbole_store.data.prepare import command
status = command.main(sys.argv[1:])
# Not ru_maxrss, which begins with what the parent of a process held.
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print("peak", int(peak.split()[1]) // 1024)
sys.exit(status)
"""
N_USERS, N_ITEMS = 50_000, 20_000
# For the last test; PREPARE_ROWS=100000000 takes an hour and 20 GB of disk.
ROWS = int(os.environ.get("PREPARE_ROWS", "3000000"))


def write_table(path, n_rows: int, text: str) -> None:
    rng = random.Random(5)
    with path.open("w") as file:
        file.write("user,item,time,title\n")
        for _ in range(n_rows):
            user, item = rng.randrange(N_USERS), rng.randrange(N_ITEMS)
            file.write(
                f"u{user},i{item},{1_600_000_000 + rng.randrange(10**7)},Title {item} {text}\n"
            )


def write_large_table(path, n_rows: int) -> None:
    """Twenty rows a user and a hundred an item on average, in parts, in no order of time."""
    rng, part = np.random.default_rng(5), 10**6
    with path.open("w") as file:
        file.write("user,item,time,title\n")
        for start in range(0, n_rows, part):
            n = min(part, n_rows - start)
            users = rng.integers(n_rows // 20, size=n).tolist()
            items = rng.integers(n_rows // 100, size=n).tolist()
            times = rng.integers(1_500_000_000, 1_700_000_000, size=n).tolist()
            rows = zip(users, items, times, strict=True)
            file.writelines(f"u{u},i{i},{t},Title {i} of {i % 97}\n" for u, i, t in rows)


def peak_of(folder, memory: str) -> tuple[int, dict]:
    """Peak memory in MB of preparing table.csv, and its card."""
    words = ["table", "--raw=table.csv", "--out=toy", "--user=user", "--item=item", "--time=time"]
    words += ["--text", "title", "--k_core=5", f"--memory={memory}", "--force"]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "RECBOLE_STORE_REGISTER": "0"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    card = json.loads((folder / "toy" / "toy.card.json").read_text())
    return int(done.stdout.split()[-1]), card


def check_order(path) -> None:
    times = [int(line.rsplit("\t", 1)[1]) for line in path.read_text().splitlines()[1:]]
    assert times == sorted(times)


def test_a_million_rows(tmp_path):
    """Under 100 MB for DuckDB, beside which Python, numpy and DuckDB themselves need about 80."""
    write_table(tmp_path / "table.csv", 1_000_000, "word " * 60)
    peak, card = peak_of(tmp_path, "100MB")
    size = (tmp_path / "table.csv").stat().st_size // 2**20
    assert size > 300 and peak < 240
    assert card["rows"]["raw"] == 1_000_000 and card["interactions"] > 990_000
    assert card["text"]["with_text"] == card["items"] == N_ITEMS
    check_order(tmp_path / "toy" / "toy.inter")


@pytest.mark.slow
def test_memory_does_not_grow_with_rows(tmp_path):
    """Twice the rows of the same users and items, both beyond DuckDB's limit: a tenth at most."""
    write_table(tmp_path / "table.csv", 3_000_000, "word")
    small, _ = peak_of(tmp_path, "100MB")
    write_table(tmp_path / "table.csv", 6_000_000, "word")
    large, card = peak_of(tmp_path, "100MB")
    assert card["rows"]["raw"] == 6_000_000
    assert large < 1.1 * small


@pytest.mark.slow
def test_as_many_rows_as_told_in_2_gb(tmp_path):
    """With the default `--memory`: users and items grow with the rows here."""
    write_large_table(tmp_path / "table.csv", ROWS)
    peak, card = peak_of(tmp_path, "1GB")
    assert card["rows"]["raw"] == ROWS and card["interactions"] > 0.99 * ROWS
    print(f"{ROWS} rows: {peak} MB")
    assert peak < 2000
