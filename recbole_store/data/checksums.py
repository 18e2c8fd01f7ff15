"""Checksums of files."""

from __future__ import annotations

import hashlib
from pathlib import Path

_known: dict[tuple[int, ...], str] = {}  # a file's identity, size and time of change -> checksum


def sha256(path: Path) -> str:
    """SHA-256 of a file, computed once a process for as long as the file stays as it is."""
    status = path.stat()
    key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    if key not in _known:
        with path.open("rb") as stream:
            _known[key] = hashlib.file_digest(stream, "sha256").hexdigest()
    return _known[key]
