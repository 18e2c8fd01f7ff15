"""Real processes, two of them, as torchrun starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from planted_data import ROOT

TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]
HERE = ["--nproc_per_node=2", "--rdzv_backend=c10d", "--rdzv_endpoint=localhost:0"]

# `counted` writes down in rows-RANK how many rows each call of a method has.
SCRIPT = """
import os, sys
os.environ["RECBOLE_STORE_REGISTER"] = "0"
from recbole_store import cli
from recbole_store.plugin.profiles import auto

auto.choose = lambda data, machine: []  # as conftest.py has it

def counted(owner, name, rows_of):
    method = getattr(owner, name)
    def count(self, *args, **kwargs):
        with open("rows-" + os.environ["RANK"], "a") as told:
            print(rows_of(*args), file=told)
        return method(self, *args, **kwargs)
    setattr(owner, name, count)

{first}
del os.environ["RECBOLE_STORE_REGISTER"]
sys.exit(cli.main())
"""


def torchrun(
    words: list, folder: Path, cache: str = "cache", first: str = "", where=HERE
) -> subprocess.Popen:
    """The command line in two processes; what they say goes to ``folder/said.txt``.

    Args:
        cache: folder below ``folder``.
        first: what each process executes before the command.
        where: torchrun's own words.
    """
    environment = {
        **{k: v for k, v in os.environ.items() if k != "RECBOLE_STORE_REGISTER"},
        **{"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        "RECBOLE_STORE_CACHE": str(folder / cache),
    }
    script = folder / "two_processes.py"
    script.write_text(SCRIPT.format(first=first))
    with (folder / "said.txt").open("ab") as said:
        command = [*TORCHRUN, *where, str(script), *map(str, words)]
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=said, stderr=said)


def rows_of_each(folder: Path) -> list[int]:
    """How many rows each process had in all, of what was ``counted``."""
    files = [folder / f"rows-{rank}" for rank in (0, 1)]
    return [sum(map(int, file.read_text().split())) if file.is_file() else 0 for file in files]
