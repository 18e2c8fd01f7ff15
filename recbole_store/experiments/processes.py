"""Processes that runs get to themselves: how they are started, ended and told of.

Whoever ends a comparison, or trials, means all of it: the process of the run that goes on ends as
well, by itself if it can, and what has finished is kept.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# What a run's process is started with, and where it finds this package without an installation.
PROGRAM = [sys.executable, "-m", "recbole_store.cli"]
PACKAGE_PARENT = Path(__file__).resolve().parents[2]
_PARENT = "RECBOLE_STORE_PARENT"  # tells a run's process whose it is

# That an interrupted run has to end by itself: after the terminal's Ctrl-C, which it got as well,
# and after ours, for an interruption that came from elsewhere.
SECONDS_TO_STOP = (2, 20)
SECONDS_TO_LOOK = 1.0  # between two looks at a process that may be ended early
LAST_LINES = 3  # of the log of a run that failed


class Terminated(BaseException):
    """SIGTERM came: as of Ctrl-C, what is open is closed on the way out."""


def exit_status(stop: BaseException) -> int:
    """The shell's number for what stopped a process: 128 and the signal's."""
    return 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)


@contextmanager
def terminating() -> Iterator[None]:
    """Let SIGTERM end this process as Ctrl-C does, by an exception."""

    def stop(*_):
        raise Terminated

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not the main thread, whose affair signals are
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def environment() -> dict[str, str]:
    """Of a run's process: as ours, with this very package in reach from any folder."""
    paths = [str(PACKAGE_PARENT), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        _PARENT: str(os.getpid()),
    }


def end_with_parent() -> None:
    """Let a run's process end with the comparison that started it, however that ends. Linux only.

    Without it the run would go on after a SIGKILL of the comparison, and its result be kept by
    nobody.
    """
    parent = os.environ.pop(_PARENT, None)
    if parent is None or sys.platform != "linux":
        return
    set_signal = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>
    ctypes.CDLL(None).prctl(set_signal, signal.SIGTERM)
    if os.getppid() != int(parent):  # it has ended already
        sys.exit(128 + signal.SIGTERM)


def _stdout() -> int | None:
    """Where a process writes: where we do, if that is a file."""
    try:
        return sys.stdout.fileno()
    except OSError:  # a text in memory; the process has the one that we were started with
        return None


def run_process(command: list[str], is_enough: Callable[[], bool] | None = None) -> int | None:
    """Exit status of a process that does not outlive an interruption of this one.

    Args:
        is_enough: asked now and then; once it is, the process is ended, and the status is None.
    """
    process = subprocess.Popen(command, env=environment(), stdout=_stdout())
    try:
        while is_enough is not None:
            with suppress(subprocess.TimeoutExpired):
                return process.wait(SECONDS_TO_LOOK)
            if is_enough():
                process.terminate()
                _stop(process)
                process.kill()
                process.wait()
                return None
        return process.wait()
    except (KeyboardInterrupt, Terminated):
        try:
            _stop(process)
        finally:  # a second Ctrl-C
            process.kill()
            process.wait()
        raise


def _stop(process: subprocess.Popen) -> None:
    """Let a process end by itself, if it does."""
    for seconds in SECONDS_TO_STOP:
        try:
            process.wait(seconds)
            return
        except subprocess.TimeoutExpired:
            if sys.platform == "win32":  # which has no such signal; its Ctrl-C went to both
                process.terminate()
            else:
                process.send_signal(signal.SIGINT)


def reason(status: int, run_dir: Path) -> str:
    """Why a run failed, as far as it is known: its log's last lines, and where to read on."""
    if status < 0:
        said = f"ended by signal {signal.Signals(-status).name}"
        said += " (out of memory, perhaps)" if -status == signal.SIGKILL else ""
    else:
        said = f"exit status {status}"
    log = run_dir / f"{run_dir.name}.log"
    if not log.is_file():
        return f"{said}; it left no log."
    text = log.read_text(encoding="utf-8", errors="replace")
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    *before, last = lines[-LAST_LINES:] or ["nothing"]
    said += f"; its log {log} ends with: {last}"
    return said + (f" (before that: {' | '.join(before)})" if before else "")
