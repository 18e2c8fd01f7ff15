"""Reading raw files in place, from gzip and zip, with progress.

Whoever reads also says where it is, so that a fault can be named by file and line.
"""

from __future__ import annotations

import gzip
import io
import lzma
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from recbole_store.data.prepare.raw_files import RawFile
from recbole_store.data.prepare.rejected_rows import RejectedRows
from recbole_store.errors import BadValue, DataError

CHUNK = 1 << 20
LONGEST = 1 << 26  # bytes of a line; a file without line ends would fill the memory
# What the standard library raises over damaged archives.
_DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, zipfile.BadZipFile)


class RawReader:
    """Reads raw files and knows how far it is.

    Args:
        show_progress: None shows a bar where stderr is a terminal.
        rejected: takes rows that cannot be read; None: the first of them ends the reading.

    Attributes:
        place: file and line (or row) read last, such as ``reviews.json.gz, line 12``.
        n_rejected: rows rejected so far, in every pass over a file.
    """

    def __init__(self, show_progress: bool | None = None, rejected: RejectedRows | None = None):
        self.hidden = not (sys.stderr.isatty() if show_progress is None else show_progress)
        self.rejected, self.n_rejected = rejected, 0
        self.file: RawFile | None = None
        self.unit = "line"
        self.number = 0

    @property
    def place(self) -> str:
        return f"{self.file}, {self.unit} {self.number}" if self.number else str(self.file)

    @contextmanager
    def naming_faults(self):
        """Turn a BadValue into a DataError that names file and line."""
        try:
            yield
        except BadValue as error:
            raise DataError(
                f"{self.place}: {error}; `--bad_rows skip` leaves such rows out and lists them."
            ) from error

    def reject(self, error: BadValue, row) -> None:
        """Put the row read last aside, or raise the error where rows may not be left out.

        Args:
            row: its text, or its values.
        """
        if self.rejected is None:
            raise error
        self.n_rejected += 1
        self.rejected.add(str(self.file), self.number, str(error), row)

    def read(self, rows: Iterable, convert: Callable) -> Iterator:
        """What ``convert`` makes of each row; rows over which it raises BadValue are rejected."""
        for row in rows:
            try:
                found = convert(row)
            except BadValue as error:
                self.reject(error, row)
            else:
                yield found

    def lines(self, file: RawFile, encoding: str = "utf-8") -> Iterator[str]:
        """The lines of a text file, each with its line end, numbered from 1 in ``place``.

        Raises:
            DataError: the file cannot be read, is cut off, or is not in that encoding.
        """
        try:
            separates_lines = "\n".encode(encoding) == b"\n"
        except (LookupError, UnicodeError) as error:
            raise DataError(f"There is no encoding {encoding!r}.") from error
        if not separates_lines:
            raise DataError(f"{file}: {encoding} is not read; convert the file to UTF-8.")
        self.file, self.unit, self.number = file, "line", 0
        with self.progress(file) as bar:
            try:
                with _opened(file, bar) as stream:
                    while line := stream.readline(LONGEST + 1):
                        self.number += 1
                        if len(line) > LONGEST:
                            raise DataError(
                                f"{self.place} is longer than {LONGEST >> 20} MB, so this is no "
                                "table: it must have one row, or one JSON object, a line."
                            )
                        if self.number == 1:
                            line = line.removeprefix(b"\xef\xbb\xbf")
                        try:
                            text = line.decode(encoding)
                        except UnicodeDecodeError as error:
                            self._reject_encoding(error, encoding)
                        else:
                            yield text
            except _DAMAGED as error:
                raise DataError(
                    f"{file} is broken after line {self.number}: {error}; fetch it again."
                ) from error
            except RuntimeError as error:  # of an archive: encrypted, or packed in another way
                raise DataError(
                    f"{file} cannot be read from its archive ({str(error).rstrip('.')}); unpack it "
                    "and name the files that it holds."
                ) from error
            except OSError as error:
                raise DataError(f"Cannot read {file}: {error.strerror or error}.") from error

    def _reject_encoding(self, error: UnicodeDecodeError, encoding: str) -> None:
        byte = error.object[error.start]
        reason = f"byte 0x{byte:02x} is not {encoding}"
        if self.rejected is None:
            raise DataError(
                f"{self.place}: {reason}; convert the file to UTF-8, or name its encoding where "
                "the source has --encoding."
            ) from error
        self.reject(BadValue(reason), error.object.decode("latin-1"))

    def progress(self, file: RawFile) -> tqdm:
        """A progress bar over the bytes of a file as they lie on the disk."""
        return tqdm(
            desc=file.name,
            total=file.size,
            unit="B",
            unit_scale=True,
            unit_divisor=1024,
            disable=self.hidden,
        )


class _CountedFile(io.FileIO):
    """A file that moves a progress bar."""

    def __init__(self, path: Path, bar: tqdm):
        super().__init__(path)
        self.bar = bar

    def readinto(self, buffer) -> int:
        n_bytes = super().readinto(buffer)
        # Of an archive the table of contents is read, too.
        self.bar.update(min(n_bytes, self.bar.total - self.bar.n))
        return n_bytes


@contextmanager
def _opened(file: RawFile, bar: tqdm) -> Iterator[io.BufferedIOBase]:
    with io.BufferedReader(_CountedFile(file.path, bar), CHUNK) as raw:
        if file.member:
            with zipfile.ZipFile(raw) as archive, archive.open(file.member) as stream:
                yield from _unpacked(file.member, stream)
        else:
            yield from _unpacked(file.name, raw)


def _unpacked(name: str, stream) -> Iterator[io.BufferedIOBase]:
    if name.lower().endswith(".gz"):
        with gzip.GzipFile(fileobj=stream) as plain, io.BufferedReader(plain, CHUNK) as buffered:
            yield buffered
    else:
        yield stream
