"""Real processes that train, to be killed: forked from one that has imported all there is.

Importing torch and RecBole takes seconds; a fork takes none. The one that forks computes nothing
itself, so its children are as fresh as processes from a shell.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

_FORKS = """
import json, os, sys
from recbole_store import cli
import recbole_store.experiments.requested
from recbole_store.experiments.run import run
from recbole_store.plugin.profiles import auto
auto.choose = lambda data, machine: []  # as conftest.py has it
for line in sys.stdin:
    order = json.loads(line)
    pid = os.fork()
    if pid == 0:
        os.setsid()
        out = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        for stream in (1, 2):
            os.dup2(out, stream)
        os.environ.update(order["environment"])
        os.chdir(order["folder"])
        sys.argv = ["run"]
        try:
            status = cli.main(order["words"])
        except SystemExit as stopped:
            status = stopped.code
        except BaseException:
            import traceback
            traceback.print_exc()
            status = 99
        sys.stdout.flush()
        os._exit(status)
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


class ForkedRuns:
    """Runs of the command line, one after the other.

    Args:
        folder: they work in.
    """

    def __init__(self, folder: Path):
        self.folder, self.output = folder, folder / "output.txt"
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        self._forks = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", _FORKS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=folder,
        )

    def close(self) -> None:
        self._forks.stdin.close()
        self._forks.wait(300)
        self._forks.stdout.close()

    def run(self, words: list[str], kill_after: float | None = None, **environment) -> int:
        """The exit status of one command; below 0 if it was killed.

        Args:
            kill_after: seconds after which SIGKILL comes; None: never.
        """
        order = {
            "words": words,
            "folder": str(self.folder),
            "output": str(self.output),
            "environment": environment,
        }
        self._forks.stdin.write(json.dumps(order) + "\n")
        self._forks.stdin.flush()
        pid = int(self._forks.stdout.readline())
        if kill_after is not None:
            time.sleep(kill_after)
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:  # it had finished
                pass
        return int(self._forks.stdout.readline())

    @property
    def said(self) -> str:
        """All that the commands have printed."""
        return self.output.read_text() if self.output.is_file() else ""
