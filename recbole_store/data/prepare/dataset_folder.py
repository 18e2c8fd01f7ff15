"""A folder that appears whole, or not at all."""

from __future__ import annotations

import glob
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from recbole_store.data.file_lock import locked
from recbole_store.errors import DataError
from recbole_store.settings.dataset_name import check_dataset_name

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

    It lies in a folder ``.NAME.partial-*``, whose name nobody knows before and which is locked. A
    killed process leaves it, nobody reads it, and the next run removes it. An existing data set is
    replaced by two renames; if the process dies between them, the next run first puts the old one
    back.

    Raises:
        DataError: see :func:`check_target`; or another process writes there at this moment.
    """
    if target.is_symlink():
        raise DataError(f"{target} is a link; --out names the data set's folder itself.")
    target = target.resolve()
    check_dataset_name(target.name)
    made = [path for path in target.parents if not path.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _clear_up(target)
        partial = Path(tempfile.mkdtemp(prefix=_prefix(target), dir=target.parent))
    except OSError as error:
        raise DataError(f"Cannot make a folder in {target.parent}: {error.strerror}.") from error
    folder, replaced = partial / "files", partial / _REPLACED
    try:
        with locked(partial / _LOCK):
            check_target(target, force)
            folder.mkdir()
            yield folder
            _sync(folder)
            check_target(target, force)  # another process may have been faster
            if target.is_dir():
                target.rename(replaced)
            folder.rename(target)
            _sync_folder(target.parent)
    except BaseException:
        if replaced.is_dir() and not target.exists():
            replaced.rename(target)
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        with suppress(OSError):  # something is there
            for path in made:
                path.rmdir()


_LOCK, _REPLACED = "lock", "replaced"


def _prefix(target: Path) -> str:
    return f".{target.name}.partial-"


def _clear_up(target: Path) -> None:
    """Remove what killed processes left, and put back a data set that one was replacing.

    Links are left alone: preparation makes none.

    Raises:
        DataError: a process that writes there is alive.
    """
    for left in target.parent.glob(glob.escape(_prefix(target)) + "*"):
        if left.is_symlink() or not left.is_dir():
            continue
        try:
            with locked(left / _LOCK, wait=False):
                if (left / _REPLACED).is_dir() and not target.exists():
                    (left / _REPLACED).rename(target)
        except BlockingIOError as error:
            raise DataError(f"Another process is preparing {target}.") from error
        except OSError:
            continue  # somebody else's
        shutil.rmtree(left, ignore_errors=True)


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
