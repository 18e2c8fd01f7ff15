"""Whether a folder takes what will be written, found out before hours of work."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from recbole_store.errors import SettingsError


def check_can_write(folder: Path, remedy: str, n_bytes: int = 0) -> None:
    """Find out before hours of training whether a folder, made or not, takes what will be written.

    Args:
        remedy: what to do if it does not, after "or".

    Raises:
        SettingsError: it does not.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
        free = shutil.disk_usage(there).free
    except OSError as error:
        raise SettingsError(
            f"Cannot write to {folder}: {error.strerror}; make it writable, or {remedy}."
        ) from error
    if free < n_bytes:
        raise SettingsError(
            f"{folder} has {_size(free)} free, but the run will write up to {_size(n_bytes)}: make "
            f"room, or {remedy}."
        )


def _size(n_bytes: int) -> str:
    """Example: 1500000000 -> ``1.5 GB``, 2000000 -> ``2 MB``, 1000 -> ``1 kB``"""
    if n_bytes >= 1e9:
        return f"{n_bytes / 1e9:.1f} GB"
    return f"{n_bytes / 1e6:.0f} MB" if n_bytes >= 1e6 else f"{n_bytes / 1e3:.0f} kB"
