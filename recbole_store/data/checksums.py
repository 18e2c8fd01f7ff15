"""SHA-256 of files, each read once for as long as it does not change."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path


def sha256_of(path: Path) -> str:
    """SHA-256 of all bytes of a file.

    Raises:
        OSError: it cannot be read.
    """
    real = path.resolve()
    found = real.stat()
    return _sha256(real, found.st_size, found.st_mtime_ns)


@lru_cache
def _sha256(path: Path, size: int, changed_ns: int) -> str:
    """Of a file since it was last changed: lists of trials ask for it again and again."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
