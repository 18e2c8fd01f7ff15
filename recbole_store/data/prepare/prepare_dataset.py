"""The steps from raw files to a data set with its card."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from recbole_store.data.prepare.atomic_files import (
    check_column_names,
    write_features,
    write_interactions,
    write_texts,
)
from recbole_store.data.prepare.data_card import as_markdown, figures_of, file_facts
from recbole_store.data.prepare.database import MEMORY, database_faults
from recbole_store.data.prepare.dataset_folder import CARD, appearing_folder
from recbole_store.data.prepare.interactions import Interactions
from recbole_store.data.prepare.raw_files import RawFile, RawReader
from recbole_store.data.prepare.sources.source import Source
from recbole_store.data.prepare.times import Time, as_number
from recbole_store.errors import DataError


@dataclass(frozen=True)
class Filters:
    """Which interactions stay; applied in this order, the last two to a fixed point.

    Attributes:
        since, until: keep ``since <= time < until``.
        duplicates: ``exact`` drops rows that repeat user, item and time; ``first`` and ``last``
            leave one row a user and item; ``keep`` drops none.
        max_history: each user's latest interactions that stay; None for all.
        k_core: interactions that every user and every item needs.
        min_history: interactions that every user needs, if more than ``k_core``.
    """

    since: Time | None = None
    until: Time | None = None
    duplicates: str = "exact"
    max_history: int | None = None
    k_core: int = 5
    min_history: int = 1


def prepare(
    source: Source,
    files: dict[str, RawFile],
    out: Path,
    filters: Filters,
    command: str,
    force: bool = False,
    memory: str = MEMORY,
    show_progress: bool | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> dict:
    """Prepare one data set; ``out`` appears when everything is written.

    Args:
        files: role -> file, as :func:`raw_files.find_files` found them.
        command: what the user typed, for the card.
        memory: limit of DuckDB's working memory.
        say: takes one line about each step.

    Returns:
        The data card.

    Raises:
        DataError: raw data that cannot be read, or nothing left of them.
    """
    check_column_names([*source.item_columns, *source.more_columns])
    reader = RawReader(show_progress)
    name = out.resolve().name
    with appearing_folder(out, force) as folder, reader.naming_faults(), database_faults():
        rows, figures, wanted = _interactions(
            source, reader, files, filters, folder / f"{name}.inter", memory, say
        )
        figures["text"] = _items(source, reader, files, folder, name, wanted)
        say(f"{figures['text']['with_text']:,} of {figures['text']['items']:,} items with text")
        if more := source.write_more(reader, files, folder, name):
            figures["more"] = more
        properties = (
            f"# Properties of {name}, which every run on it takes; written by preparation from\n"
            f"# the defaults of the source {source.name}.\n{source.property_text()}"
        )
        (folder / f"{name}.yaml").write_text(properties, encoding="utf-8")
        card = {
            "name": name,
            "source": source.name,
            "command": command,
            "remark": source.remark,
            "filters": _as_plain(filters),
            "rows": rows,
            **figures,
            "raw_files": [file_facts(raw.path, str(raw)) for raw in files.values()],
            "files": {path.name: file_facts(path) for path in sorted(folder.iterdir())},
        }
        (folder / f"{name}.card.md").write_text(as_markdown(card), encoding="utf-8")
        card["files"][f"{name}.card.md"] = file_facts(folder / f"{name}.card.md")
        (folder / CARD.format(name)).write_text(
            json.dumps(card, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
    return card


def _interactions(
    source: Source,
    reader: RawReader,
    files: dict[str, RawFile],
    filters: Filters,
    path: Path,
    memory: str,
    say: Callable[[str], None],
) -> tuple[dict[str, int], dict, set[str]]:
    """Write ``NAME.inter``: rows read and dropped, figures of those kept, ids of their items."""
    working = path.parent / "working"
    working.mkdir()
    interactions = Interactions(working, source.more_columns, memory)
    try:
        n_raw = interactions.load(source.interactions(reader, files))
        first = next(iter(files.values()))
        if not n_raw:
            raise DataError(f"{first} holds no interactions.")
        if not len(interactions):
            raise DataError(f"No row of {first} has user, item and time.")
        say(f"{n_raw:,} interactions read")
        rows = {"raw": n_raw, "incomplete": interactions.incomplete}
        rows |= apply_filters(interactions, filters)
        if not len(interactions):
            raise DataError(
                f"No interactions are left of {n_raw:,} ({_in_words(rows)}): the filters are too "
                "strict, see --k_core, --min_history, --since and --until."
            )
        say(f"{len(interactions):,} interactions kept ({_in_words(rows)})")
        write_interactions(path, interactions.in_time_order(), source.more_columns)
        return rows, figures_of(interactions), interactions.items()
    finally:
        interactions.close()
        shutil.rmtree(working)


def _items(
    source: Source,
    reader: RawReader,
    files: dict[str, RawFile],
    folder: Path,
    name: str,
    wanted: set[str],
) -> dict:
    """Write ``NAME.text.jsonl`` and ``NAME.item``; returns figures of the texts."""
    texts, features = folder / f"{name}.text.jsonl", folder / f"{name}.item"
    found = write_texts(
        texts,
        source.items(reader, files),
        source.item_columns,
        source.text_columns(),
        None if source.keeps_all_items else wanted,
    )
    kinds = {column: kind for column, kind in source.item_columns.items() if kind}
    write_features(features, texts, kinds)
    if not found.with_row:  # no files are better than files without a line
        texts.unlink()
        features.unlink()
    n_items = max(len(wanted), found.with_row)
    return {
        "items": n_items,
        "described": found.with_row,
        "with_text": found.with_text,
        "without_text": n_items - found.with_text,
        "filled": found.filled,
        "words": found.spread(),
    }


def apply_filters(interactions: Interactions, filters: Filters) -> dict[str, int]:
    """Drop rows as told; returns how many rows each filter dropped."""
    dropped = {
        "outside_times": interactions.keep_times(filters.since, filters.until),
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
