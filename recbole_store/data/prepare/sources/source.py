"""What a raw layout has to say of itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from recbole_store.data.prepare.atomic_files import Unreadable
from recbole_store.data.prepare.interactions import Interaction
from recbole_store.data.prepare.raw_files import RawFile, Role, find_files
from recbole_store.data.prepare.raw_reader import RawReader
from recbole_store.settings.property_files import properties_folder, read_properties

Item = tuple[str, dict[str, object]]  # safe id, column -> raw value (text, number, list or None)


class Source(ABC):
    """A raw layout; a new one is one subclass in one file, its property file, and its page.

    Attributes:
        summary: one line for ``--help``.
        roles: what files it needs, the interactions first.
        item_columns: column of an item -> its type in ``NAME.item``, "" for text that only
            ``NAME.text.jsonl`` holds.
        more_columns: further columns of ``NAME.inter`` and their types.
        k_core: of the published protocol.
        describes_all_items: write texts of items without interactions, too, for whoever may rank
            them; models do not.
        unreadable: of ``more_columns``, those of type float that hold values that are no numbers,
            which are left empty.
        remark: what a reader of the data card should know of the times or the rows.
    """

    summary: str
    roles: dict[str, Role]
    item_columns: dict[str, str] = {}
    more_columns: dict[str, str] = {}
    k_core = 5
    describes_all_items = False
    remark = ""

    def __init__(self, name: str, arguments: Namespace):
        self.name = name
        self.unreadable: dict[str, Unreadable] = {}
        self.arguments = arguments

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        """Arguments that only this source has: none."""
        return None

    def find(self, paths: list[Path]) -> dict[str, RawFile]:
        """Role -> file, among all that ``--raw`` names."""
        return find_files(paths, self.roles)

    def settle(
        self, reader: RawReader, files: dict[str, RawFile], say: Callable[[str], None]
    ) -> None:
        """Look at the beginning of every file before the first is read whole.

        Args:
            say: takes a line about each choice that was not the user's.

        Raises:
            DataError, BadValue: a file is not what it should be.
        """
        for rows in self.beginnings(reader, files):
            next(iter(rows), None)

    def beginnings(self, reader: RawReader, files: dict[str, RawFile]) -> list[Iterable]:
        """Iterables of which each reads the first row of a file."""
        return [self.interactions(reader, files), self.items(reader, files)]

    @abstractmethod
    def interactions(self, reader: RawReader, files: dict[str, RawFile]) -> Iterator[Interaction]:
        """Every interaction, in the file's order. Faulty values raise BadValue."""

    def keeps_all_items(self) -> bool:
        """Whether items without interactions stay in the catalogue if the user does not say."""
        return False

    @abstractmethod
    def items(self, reader: RawReader, files: dict[str, RawFile]) -> Iterator[Item]:
        """Every item's id and columns; of several rows for one item the first counts."""

    def write_more(
        self, reader: RawReader, files: dict[str, RawFile], folder: Path, name: str
    ) -> dict:
        """Write what else this source has; returns figures for the data card."""
        return {}

    def property_text(self) -> str:
        """Content of the data set's property file."""
        path = properties_folder() / "dataset" / "source" / f"{self.name}.yaml"
        return path.read_text(encoding="utf-8")

    def text_columns(self) -> list[str]:
        """Columns that the text template names."""
        path = properties_folder() / "dataset" / "source" / f"{self.name}.yaml"
        return list(read_properties(path)["item_text"])


def flat(value) -> list:
    """A list of lists as one list, each entry once: [["a", "b"], ["a", "c"]] -> [a, b, c]."""
    entries: dict = {}
    for part in value if isinstance(value, list | tuple) else [value]:
        entries.update(dict.fromkeys(flat(part) if isinstance(part, list | tuple) else [part]))
    return [entry for entry in entries if entry is not None]
