"""Small raw files that a test writes, and what preparation made of them."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path


def raw_bytes(content) -> bytes:
    """Content of a raw file: bytes, a text, or rows, each a line (dicts become JSON)."""
    if isinstance(content, bytes):
        return content
    if isinstance(content, str):
        return content.encode()
    lines = [row if isinstance(row, str) else json.dumps(row) for row in content]
    return "".join(line + "\n" for line in lines).encode("utf-8", "surrogatepass")


def write_raw_files(root: Path, files: dict) -> Path:
    """Write {name: content}; a name's ending says whether it is compressed.

    A name ``a.zip/b/c.csv`` is a member of an archive.
    """
    for name, content in files.items():
        archive, is_member, member = name.partition(".zip/")
        path = root / (f"{archive}.zip" if is_member else name)
        path.parent.mkdir(parents=True, exist_ok=True)
        data = raw_bytes(content)
        if name.endswith(".gz"):
            data = gzip.compress(data)
        if is_member:
            with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as zipped:
                zipped.writestr(member, data)
        else:
            path.write_bytes(data)
    return root


class Prepared:
    """The files of a prepared data set."""

    def __init__(self, folder: Path):
        self.folder, self.name = folder, folder.name

    def lines(self, ending: str) -> list[str]:
        """Lines of ``NAME.ending``, such as ``inter``."""
        text = (self.folder / f"{self.name}.{ending}").read_bytes().decode()
        assert text.endswith("\n")
        return text[:-1].split("\n")

    @property
    def texts(self) -> dict[str, dict]:
        """Raw id -> the other columns of ``NAME.text.jsonl``."""
        rows = [json.loads(line) for line in self.lines("text.jsonl")]
        return {row.pop("item_id"): row for row in rows}

    @property
    def card(self) -> dict:
        return json.loads("\n".join(self.lines("card.json")))
