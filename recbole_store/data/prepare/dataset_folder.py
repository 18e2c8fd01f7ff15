"""A folder that appears whole, or not at all."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from recbole_store.data.file_lock import hold
from recbole_store.errors import DataError

CARD = "{}.card.json"
CAN_OPEN_FOLDERS = sys.platform != "win32"


def check_target(target: Path, force: bool) -> None:
    """Whether a data set may be written there.

    Raises:
        DataError: something is there already; with ``force``, something that preparation did not
            write is there.
    """
    if target.exists() and not target.is_dir():
        raise DataError(f"{target} is a file; --out names the data set's folder.")
    there = {path.name for path in target.iterdir()} if target.is_dir() else set()
    if not there:
        return
    if not force:
        raise DataError(f"{target} exists already; --force replaces it.")
    card = target / CARD.format(target.name)
    try:
        ours = {*json.loads(card.read_text(encoding="utf-8"))["files"], card.name}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{target} holds files that were not prepared here ({', '.join(sorted(there)[:5])}); "
            "--force does not remove them, name another folder."
        ) from error
    if foreign := sorted(there - ours):
        raise DataError(
            f"{target} holds {', '.join(foreign[:5])}, which preparation did not write; --force "
            "would remove it, so move it first."
        )


@contextmanager
def appearing_folder(target: Path, force: bool = False) -> Iterator[Path]:
    """A new folder beside ``target`` that takes its place when the block ends without an error.

    A killed process leaves ``.NAME.partial``, which nobody reads and the next run removes. An
    existing data set is replaced by two renames; if the process dies between them, the next run
    first puts the old one back.

    Raises:
        DataError: see :func:`check_target`; or another process writes there at this moment.
    """
    target = target.resolve()
    partial = target.with_name(f".{target.name}.partial")
    replaced = target.with_name(f".{target.name}.replaced")
    try:
        partial.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"Cannot make the folder {partial}: {error.strerror}.") from error
    beside = target.with_name(f".{target.name}.lock")
    if CAN_OPEN_FOLDERS:
        lock = os.open(partial, os.O_RDONLY)
    else:
        lock = os.open(beside, os.O_RDWR | os.O_CREAT)
    try:
        try:
            hold(lock)
        except OSError as error:
            raise DataError(f"Another process is preparing {target}.") from error
        if not partial.is_dir():  # it got its final name while this process waited
            raise DataError(f"Another process has just prepared {target}.")
        try:
            if replaced.is_dir() and not target.exists():
                replaced.rename(target)
            check_target(target, force)
            _empty(partial)
            yield partial
            _sync(partial)
            if target.is_dir():
                shutil.rmtree(replaced, ignore_errors=True)
                target.rename(replaced)
            partial.rename(target)
            _sync_folder(target.parent)
            shutil.rmtree(replaced, ignore_errors=True)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    finally:
        os.close(lock)
        if not CAN_OPEN_FOLDERS:
            with suppress(OSError):  # another process holds it by now
                beside.unlink()


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _sync(folder: Path) -> None:
    for path in folder.iterdir():
        with path.open("r+b") as stream:  # Windows writes out only what it may write to
            os.fsync(stream.fileno())
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    if not CAN_OPEN_FOLDERS:
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
