"""Raw files as they were downloaded: found by name, read in place from gzip and zip, with progress.

Whoever reads also says where it is, so that a fault can be named by file and line.
"""

from __future__ import annotations

import gzip
import io
import lzma
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePath, PurePosixPath

from tqdm import tqdm

from recbole_store.errors import BadValue, DataError

CHUNK = 1 << 20
LONGEST = 1 << 26  # bytes of a line; a file without line ends would fill the memory
# What systems put beside one's own files, and hidden files.
_PASSED_OVER = ("__macosx", "thumbs.db", "desktop.ini")


# What the standard library raises over damaged archives.
_DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, zipfile.BadZipFile)


@dataclass(frozen=True)
class RawFile:
    """A file, or a member of a zip archive."""

    path: Path
    member: str | None = None

    @property
    def name(self) -> str:
        return Path(self.member or self.path).name

    def __str__(self) -> str:
        return f"{self.path}/{self.member}" if self.member else str(self.path)

    @property
    def size(self) -> int:
        """Bytes on the disk, still compressed."""
        if self.member:
            with zipfile.ZipFile(self.path) as archive:
                return archive.getinfo(self.member).compress_size
        return self.path.stat().st_size


@dataclass(frozen=True)
class Role:
    """What a source needs a file for: the names it goes by, the preferred ones first."""

    patterns: tuple[str, ...]
    required: bool = True


def raw_files_in(path: Path) -> list[RawFile]:
    """All that a path holds: a folder's files, a zip archive's members, or the file itself.

    Hidden files and folders, and what macOS and Windows leave there, are passed over.

    Raises:
        DataError: there is no such path, or a zip archive is broken.
    """
    if path.is_dir():
        inside = sorted(
            p for p in path.rglob("*") if p.is_file() and not _is_passed_over(p.relative_to(path))
        )
        return [raw for p in inside for raw in raw_files_in(p)]
    if not path.is_file():
        raise DataError(f"There are no raw files at {path}.")
    if path.suffix.lower() != ".zip":
        return [RawFile(path)]
    try:
        with zipfile.ZipFile(path) as archive:
            return [
                RawFile(path, member.filename)
                for member in archive.infolist()
                if not member.is_dir() and not _is_passed_over(PurePosixPath(member.filename))
            ]
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise DataError(f"{path} is not a whole zip archive: {error}.") from error


def _is_passed_over(path: PurePath) -> bool:
    """Example: __MACOSX/._a.csv, .DS_Store, x/.git/config"""
    return any(part.startswith(".") or part.lower() in _PASSED_OVER for part in path.parts)


def find_files(paths: list[Path], roles: dict[str, Role]) -> dict[str, RawFile]:
    """Which raw file plays which role.

    A file plays one role; the first role, whose patterns are the widest, chooses last. One file
    that is named by its own path but fits no pattern takes the first role.

    Raises:
        DataError: a required role without a file, or with several.
    """
    there = [raw for path in paths for raw in raw_files_in(path)]
    found: dict[str, RawFile] = {}
    for role, wanted in reversed(roles.items()):
        free = [raw for raw in there if raw not in found.values()]
        for pattern in wanted.patterns:
            matches = [raw for raw in free if fnmatch(raw.name.lower(), pattern.lower())]
            if len(matches) > 1:
                raise DataError(
                    f"{len(matches)} files could be the {role}: "
                    f"{', '.join(map(str, matches[:5]))}; name those to read with --raw."
                )
            if matches:
                found[role] = matches[0]
                break
    first = next(iter(roles))
    named = [RawFile(p) for p in paths if p.is_file() and p.suffix.lower() != ".zip"]
    unused = [raw for raw in named if raw not in found.values()]
    if first not in found and len(unused) == 1:
        found[first] = unused[0]
    for role, wanted in roles.items():
        if wanted.required and role not in found:
            names = ", ".join(raw.name for raw in there[:5]) or "nothing"
            raise DataError(
                f"No {role} in {', '.join(map(str, paths))}: expected a file named "
                f"{' or '.join(wanted.patterns)}, found {names}"
                f"{' and others' if len(there) > 5 else ''}."
            )
    return found


class RawReader:
    """Reads raw files and knows how far it is.

    Attributes:
        place: file and line (or row) read last, such as ``reviews.json.gz, line 12``.
    """

    def __init__(self, show_progress: bool | None = None):
        """``show_progress``: None shows a bar where stderr is a terminal."""
        self.hidden = not (sys.stderr.isatty() if show_progress is None else show_progress)
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
            raise DataError(f"{self.place}: {error}.") from error

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
                        yield line.decode(encoding)
            except UnicodeDecodeError as error:
                byte = error.object[error.start]
                raise DataError(
                    f"{self.place}: byte 0x{byte:02x} is not {encoding}; convert the file to "
                    "UTF-8, or name its encoding where the source has --encoding."
                ) from error
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
