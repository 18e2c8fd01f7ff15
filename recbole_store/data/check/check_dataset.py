"""All checks of one data set."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from glob import escape
from pathlib import Path
from typing import NamedTuple

from recbole_store.data.check.atomic_lines import AtomicFile
from recbole_store.data.check.finding import Finding
from recbole_store.data.check.interaction_findings import interaction_findings
from recbole_store.data.check.item_findings import item_findings, text_findings
from recbole_store.data.prepare.database import database_faults
from recbole_store.data.prepare.interactions import Interaction, Interactions
from recbole_store.data.prepare.times import from_epoch
from recbole_store.errors import BadValue, DataError
from recbole_store.settings.dataset_files import check_dataset as dataset_folder
from recbole_store.settings.defaults import plugin_defaults, recbole_defaults
from recbole_store.settings.property_files import read_properties


class Checked(NamedTuple):
    """The size of a data set and what was found."""

    n_users: int
    n_items: int
    n_interactions: int
    findings: list[Finding]


class Columns(NamedTuple):
    """What the properties call the columns."""

    user: str
    item: str
    time: str
    item_list: str


def properties_of(name: str, data_path: Path, files: list[Path]) -> dict:
    """What RecBole and the plugin would read this data set with; ``files`` win."""
    merged = {**recbole_defaults("STORE", name), **plugin_defaults("STORE", name, data_path)}
    merged["data_path"] = str(data_path)
    for path in files:
        merged.update(read_properties(path))
    return merged


def check(name: str, data_path: Path, files: list[Path]) -> Checked:
    """Read a whole data set and say what would hurt.

    Args:
        files: property files that win over the data set's own.

    Raises:
        DataError, SettingsError: there is no such data set, or it has no users, items or times.
    """
    properties = properties_of(name, data_path, files)
    folder = dataset_folder({**properties, "benchmark_filename": None}, name)
    user, item, time = (properties[f"{key}_FIELD"] for key in ("USER_ID", "ITEM_ID", "TIME"))
    columns = Columns(user, item, time, item + properties["LIST_SUFFIX"])
    options = (
        properties["field_separator"],
        properties["seq_separator"],
        properties.get("encoding") or "utf-8",
    )
    parts = [AtomicFile(path, *options) for path in sorted(folder.glob(f"{escape(name)}.*.inter"))]
    with tempfile.TemporaryDirectory() as working, database_faults():
        interactions = Interactions(Path(working))
        try:
            main = AtomicFile(folder / f"{name}.inter", *options)
            findings = _load(main, columns, interactions, split_ids=bool(parts))
            findings += interaction_findings(interactions)
            occurring = interactions.items()
            n_users, n_rows = interactions.counts("user")[0], len(interactions)
        finally:
            interactions.close()
    candidates = set(occurring)
    for part in parts:
        candidates |= _items_of_part(part, columns)
        findings += part.findings()
    items = folder / f"{name}.item"
    if items.is_file():
        loaded = properties["load_col"]
        is_loaded = not isinstance(loaded, dict) or "item" in loaded
        findings += item_findings(
            AtomicFile(items, *options), item, candidates, bool(parts), is_loaded
        )
    findings += text_findings(folder, name, properties, item, occurring)
    return Checked(n_users, len(occurring), n_rows, findings)


def _load(
    file: AtomicFile, columns: Columns, interactions: Interactions, split_ids: bool
) -> list[Finding]:
    """Take in all rows of ``NAME.inter``; returns what its lines show."""
    for column in (columns.user, columns.item):
        if column not in file.columns:
            there = ", ".join(file.columns) or "no header of NAME:TYPE columns"
            raise DataError(
                f"{file.path} has no column `{column}`, but {there}; a property file of "
                "--config_files can name others."
            )
    interactions.load(_rows(file, columns, split_ids))
    if len(interactions) == 0:
        raise DataError(f"No row of {file.path} has user, item and time.")
    found = file.findings()
    if columns.time not in file.columns:
        text = f"{file.path.name} has no column `{columns.time}`: the order is the file's."
        found.append(Finding(True, text))
    if interactions.incomplete:
        text = f"rows without user, item or a time that is a number: {interactions.incomplete:,}."
        found.append(Finding(True, f"{file.path.name}: {text}"))
    return found


def _rows(file: AtomicFile, columns: Columns, split_ids: bool) -> Iterator[Interaction]:
    for number, row in enumerate(file.rows((columns.user, columns.item), split_ids)):
        try:
            when = from_epoch(row[columns.time]) if columns.time in row else (number, 0)
        except BadValue:
            when = None  # the line's own check has said so
        yield Interaction(row[columns.user], row[columns.item], when)


def _items_of_part(file: AtomicFile, columns: Columns) -> set[str]:
    """Items of a benchmark file: its targets and those of its ready histories."""
    items: set[str] = set()
    for row in file.rows((columns.user, columns.item), split_ids=True):
        items.add(row.get(columns.item, ""))
        items.update(row.get(columns.item_list, "").split(file.seq_separator))
    return items - {""}
