"""The steps from raw files to a data set with its card."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from recbole_store.data.prepare.atomic_files import (
    Unreadable,
    check_column_names,
    write_features,
    write_interactions,
    write_texts,
)
from recbole_store.data.prepare.data_card import as_markdown, figures_of, file_facts
from recbole_store.data.prepare.database import MEMORY, database_faults
from recbole_store.data.prepare.dataset_folder import CARD, appearing_folder
from recbole_store.data.prepare.interactions import Interactions
from recbole_store.data.prepare.raw_files import RawFile
from recbole_store.data.prepare.raw_reader import RawReader
from recbole_store.data.prepare.rejected_rows import RejectedRows
from recbole_store.data.prepare.sources.source import Source
from recbole_store.data.prepare.times import Time, as_number
from recbole_store.errors import DataError


@dataclass(frozen=True)
class Filters:
    """Which interactions stay; applied in this order, the last two to a fixed point.

    Attributes:
        since, until: keep ``since <= time < until``.
        ties_within: ``second`` or ``day``, to which times are cut, so that all in it is one basket;
            None leaves times as they are.
        ties: order of a user's rows of one time, ``file`` or ``shuffle``.
        duplicates: ``exact`` drops rows that repeat user, item and time; ``first`` and ``last``
            leave one row a user and item; ``keep`` drops none.
        max_history: each user's latest interactions that stay; None for all.
        k_core: interactions that every user and every item needs.
        min_history: interactions that every user needs, if more than ``k_core``.
    """

    since: Time | None = None
    until: Time | None = None
    ties_within: str | None = None
    ties: str = "file"
    duplicates: str = "exact"
    max_history: int | None = None
    k_core: int = 5
    min_history: int = 1


@dataclass(frozen=True)
class Choices:
    """What may be chosen beside the source's own arguments.

    Attributes:
        bad_rows: ``stop`` at the first row that cannot be read, or ``skip`` such rows and list them
            in ``NAME.rejected.tsv``.
        keep_all_items: whether items without interactions stay in the catalogue, for every model;
            None: as the source has it.
        memory: limit of DuckDB's working memory.
        command: what the user typed, for the card.
    """

    filters: Filters = Filters()
    bad_rows: str = "stop"
    keep_all_items: bool | None = None
    memory: str = MEMORY
    command: str = ""


def prepare(
    source: Source,
    files: dict[str, RawFile],
    out: Path,
    choices: Choices,
    force: bool = False,
    show_progress: bool | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> dict:
    """Prepare one data set; ``out`` appears when everything is written.

    Args:
        files: role -> file, as :func:`raw_files.find_files` found them.
        say: takes one line about each step.

    Returns:
        The data card.

    Raises:
        DataError: raw data that cannot be read, or nothing left of them.
    """
    with appearing_folder(out, force) as folder:
        return _Preparation(
            source, files, folder, out.resolve().name, choices, show_progress, say
        ).run()


class _Preparation:
    """One data set in the making, in a folder of its own."""

    def __init__(self, source, files, folder, name, choices, show_progress, say):
        self.source, self.files, self.folder, self.name = source, files, folder, name
        self.choices, self.say = choices, say
        self.rejected = RejectedRows(self._file("rejected.tsv"))
        skips = choices.bad_rows == "skip"
        self.reader = RawReader(show_progress, self.rejected if skips else None)

    def _file(self, ending: str) -> Path:
        return self.folder / f"{self.name}.{ending}"

    def run(self) -> dict:
        """All steps in their order; returns the card."""
        self._look_at_beginnings()
        with self.reader.naming_faults(), database_faults():
            card = self._interactions()
            card["text"] = self._items(card.pop("occurring"))
            self._say_what_is_left(card)
            more = self.source.write_more(self.reader, self.files, self.folder, self.name)
            if more:
                card["more"] = more
        card["rows"]["rejected"] = self.rejected.n
        if self.rejected.n:
            self.say(f"{self.rejected.n:,} rows rejected, see {self.rejected.path.name}")
        self._file("yaml").write_text(
            f"# Properties of {self.name}, which every run on it takes; written by preparation "
            f"from\n# the defaults of the source {self.source.name}.\n"
            f"{self._properties(card)}",
            encoding="utf-8",
        )
        return self._write_card(card)

    def _look_at_beginnings(self) -> None:
        """Whether every file is what it should be, before hours are spent on the first."""
        check_column_names([*self.source.item_columns, *self.source.more_columns])
        skips = self.choices.bad_rows == "skip"
        reader = RawReader(False, RejectedRows(None) if skips else None)
        with reader.naming_faults(), database_faults():
            self.source.settle(reader, self.files, self.say)
        check_column_names(self.source.item_columns)  # those it has chosen itself

    def _interactions(self) -> dict:
        """Write ``NAME.inter``: rows read and dropped, figures of those kept, their items' ids."""
        working = self.folder / "working"
        working.mkdir()
        interactions = Interactions(working, self.source.more_columns, self.choices.memory)
        try:
            n_raw = interactions.load(self.source.interactions(self.reader, self.files))
            first = next(iter(self.files.values()))
            if not n_raw:
                others = f": all rows were rejected ({self.rejected.first})" * bool(self.rejected.n)
                raise DataError(f"{first} holds no interactions{others}.")
            if not len(interactions):
                raise DataError(f"No row of {first} has user, item and time.")
            self.say(f"{n_raw:,} interactions read")
            self._say_unreadable(self.source.unreadable)
            rows = {"raw": n_raw, "incomplete": interactions.incomplete}
            rows["items"] = interactions.counts("item")[0]
            rows |= apply_filters(interactions, self.choices.filters)
            if not len(interactions):
                raise DataError(
                    f"No interactions are left of {n_raw:,} ({_in_words(rows)}): the filters are "
                    "too strict, see --k_core, --min_history, --since and --until."
                )
            self.say(f"{len(interactions):,} interactions kept ({_in_words(rows)})")
            more = self.source.more_columns
            write_interactions(self._file("inter"), interactions.in_time_order(), more)
            figures = figures_of(interactions)
            return {"rows": rows, **figures, "occurring": interactions.items()}
        finally:
            interactions.close()
            shutil.rmtree(working)

    def _items(self, occurring: set[str]) -> dict:
        """Write ``NAME.text.jsonl`` and ``NAME.item``; returns figures of the texts."""
        texts, features = self._file("text.jsonl"), self._file("item")
        found = write_texts(
            texts,
            self.source.items(self.reader, self.files),
            self.source.item_columns,
            self.source.text_columns(),
            occurring,
            self.keeps_all or self.source.describes_all_items,
        )
        kinds = {column: kind for column, kind in self.source.item_columns.items() if kind}
        unreadable = write_features(features, texts, kinds)
        self._say_unreadable(unreadable)
        unreadable = {**self.source.unreadable, **unreadable}
        if not found.with_row:  # no files are better than files without a line
            texts.unlink()
            features.unlink()
        n_items = found.items
        self.say(f"{found.with_text:,} of {n_items:,} items with text")
        return {
            "items": n_items,
            "described": found.with_row,
            "with_text": found.with_text,
            "without_text": n_items - found.with_text,
            "filled": found.filled,
            "no_numbers": {column: found.count for column, found in unreadable.items()},
            "words": found.spread(),
        }

    def _say_unreadable(self, unreadable: dict[str, Unreadable]) -> None:
        for column, (n, first) in unreadable.items():
            self.say(f"{column}: {n:,} values are no numbers, such as {first[:40]!r}; left empty")

    @property
    def keeps_all(self) -> bool:
        chosen = self.choices.keep_all_items
        return self.source.keeps_all_items() if chosen is None else chosen

    def _say_what_is_left(self, card: dict) -> None:
        """How much of the catalogue has interactions, in one line if it is not all of it."""
        before, left, catalogue = card["rows"]["items"], card["items"], card["text"]["items"]
        if self.keeps_all and left < catalogue:
            self.say(
                f"{left:,} of {catalogue:,} items have interactions; the others stay in the "
                "catalogue and are ranked (`--keep_all_items=no` leaves them out)"
            )
        elif left < before:
            self.say(
                f"the filters take {before - left:,} of {before:,} items out of the catalogue "
                "(`--keep_all_items` keeps those that are described)"
            )

    def _properties(self, card: dict) -> str:
        """The source's, with which every model also loads items that have no interactions."""
        text = self.source.property_text()
        if self.keeps_all and card["items"] < card["text"]["items"]:
            text = re.sub(r"^(  inter: \[.*)$", r"\1\n  item: [item_id]", text, flags=re.MULTILINE)
        return text

    def _write_card(self, figures: dict) -> dict:
        card = {
            "name": self.name,
            "source": self.source.name,
            "command": self.choices.command,
            "remark": self.source.remark,
            "filters": _as_plain(self.choices.filters),
            **figures,
            "raw_files": [file_facts(raw.path, str(raw)) for raw in self.files.values()],
            "files": {path.name: file_facts(path) for path in sorted(self.folder.iterdir())},
        }
        page = self._file("card.md")
        page.write_text(as_markdown(card), encoding="utf-8")
        card["files"][page.name] = file_facts(page)
        text = json.dumps(card, indent=1, ensure_ascii=False) + "\n"
        (self.folder / CARD.format(self.name)).write_text(text, encoding="utf-8")
        return card


def apply_filters(interactions: Interactions, filters: Filters) -> dict[str, int]:
    """Drop rows as told; returns how many rows each filter dropped."""
    dropped = {"outside_times": interactions.keep_times(filters.since, filters.until)}
    if filters.ties_within:
        interactions.tie_within(filters.ties_within)
    if filters.ties == "shuffle":
        interactions.shuffle_ties()
    dropped |= {
        "duplicates": interactions.drop_duplicates(filters.duplicates),
        "beyond_max_history": 0,
    }
    if filters.max_history:
        dropped["beyond_max_history"] = interactions.keep_latest(filters.max_history)
    of_user = max(filters.k_core, filters.min_history)
    dropped["outside_core"], dropped["core_rounds"] = interactions.keep_core(
        of_user, filters.k_core
    )
    return dropped


def _in_words(filtered: dict[str, int]) -> str:
    left_out = {
        "incomplete": "without user, item or time",
        "outside_times": "outside the time window",
        "duplicates": "duplicates",
        "beyond_max_history": "beyond the maximum history",
        "outside_core": "of users or items with too few",
    }
    words = [f"{filtered[key]:,} {text}" for key, text in left_out.items() if filtered.get(key)]
    return "dropped: " + ", ".join(words) if words else "none dropped"


def _as_plain(filters: Filters) -> dict:
    plain = dict(vars(filters))
    for end in ("since", "until"):
        plain[end] = as_number(plain[end]) if plain[end] is not None else None
    return plain
