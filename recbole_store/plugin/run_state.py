"""States of a training on disk: a folder of :mod:`recbole_store.tokenizer.tensor_file`.

The last two are kept: if one is damaged, the other is good.
"""

from __future__ import annotations

import logging
from pathlib import Path

from recbole_store.errors import DamagedState
from recbole_store.tokenizer.tensor_file import SUFFIX, read, write

log = logging.getLogger(__name__)

KEPT = 2


def save(folder: Path, state: dict) -> Path:
    """Write the next state of a folder, and drop those before the last two."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = _numbers(folder)
    path = _path(folder, max(numbers, default=0) + 1)
    write(path, state)
    for number in numbers[: len(numbers) - KEPT + 1]:
        _path(folder, number).unlink(missing_ok=True)
    return path


def load(folder: Path) -> dict | None:
    """The last good state of a folder; None if there is none."""
    for number in reversed(_numbers(folder)):
        try:
            return read(_path(folder, number))
        except DamagedState as error:
            log.info("%s It is left out.", error)
    return None


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}{SUFFIX}"


def _numbers(folder: Path) -> list[int]:
    """Numbers of the folder's states, ascending; half-written files have other names."""
    stems = [path.stem for path in folder.glob(f"*{SUFFIX}")]
    return sorted(int(stem) for stem in stems if stem.isdecimal())
