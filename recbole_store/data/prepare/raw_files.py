"""Raw files as they were downloaded, found by name in folders and zip archives."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePath, PurePosixPath

from recbole_store.errors import DataError

# What systems put beside one's own files, and hidden files.
_PASSED_OVER = ("__macosx", "thumbs.db", "desktop.ini")


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
