"""Rows that cannot be read, put aside: a table of file, line, reason and row."""

from __future__ import annotations

import json
from pathlib import Path

from recbole_store.data.formula_cells import harmless

BAD_ROWS = ("stop", "skip")
LONGEST = 300  # characters of a row that are shown


class RejectedRows:
    """Writes ``NAME.rejected.tsv``, which is there once a row was rejected; no path: no file.

    Attributes:
        n: rows rejected, each counted once however often its file is read.
        first: place and reason of the first.
    """

    def __init__(self, path: Path | None):
        self.path, self.n, self.first = path, 0, ""
        self._seen: set[tuple[str, int]] = set()

    def add(self, file: str, number: int, reason: str, row) -> None:
        """``row``: its text, or its values."""
        if (file, number) in self._seen:
            return
        self._seen.add((file, number))
        text = row if isinstance(row, str) else json.dumps(row, ensure_ascii=False, default=str)
        if not self.n:
            self.first = f"{file}, line {number}: {reason}"
            self._write("file", "line", "reason", "row")
        self.n += 1
        self._write(file, str(number), reason, text[:LONGEST])

    def _write(self, *cells: str) -> None:
        if self.path is None:
            return
        line = "\t".join(harmless(" ".join(cell.split())) for cell in cells)
        with self.path.open("a", encoding="utf-8", errors="backslashreplace", newline="\n") as out:
            out.write(line + "\n")
