"""Checksums of files, and a list of them in a folder: what is damaged later is found out."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

LIST = "checksums.json"


_known: dict[tuple[int, ...], str] = {}  # a file's identity, size and time of change -> checksum


def sha256(path: Path) -> str:
    """SHA-256 of a file, computed once a process for as long as the file stays as it is."""
    status = path.stat()
    key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    if key not in _known:
        with path.open("rb") as stream:
            _known[key] = hashlib.file_digest(stream, "sha256").hexdigest()
    return _known[key]


def write_checksums(folder: Path) -> None:
    """List the checksums of all files in a folder, and below, in the folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != LIST)
    sums = {path.relative_to(folder).as_posix(): sha256(path) for path in files}
    (folder / LIST).write_text(json.dumps(sums, indent=1) + "\n", encoding="utf-8")


def damaged_file(folder: Path) -> Path | None:
    """The first file that is not as it was listed, or the list itself; None if all are.

    Files that are not listed do not count.
    """
    try:
        sums = json.loads((folder / LIST).read_bytes())
    except (OSError, ValueError, RecursionError):
        sums = None
    if not isinstance(sums, dict) or not sums:
        return folder / LIST
    for name, expected in sums.items():
        try:
            if sha256(folder / name) != expected:
                return folder / name
        except OSError:
            return folder / name
    return None
