"""All checks of one data set."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from glob import escape
from pathlib import Path
from typing import NamedTuple

from recbole_store.data.check.atomic_lines import AtomicFile
from recbole_store.data.check.finding import Finding
from recbole_store.data.check.interaction_findings import interaction_findings, length_findings
from recbole_store.data.check.item_findings import item_findings, text_findings
from recbole_store.data.prepare.database import database_faults
from recbole_store.data.prepare.interactions import Interaction, Interactions
from recbole_store.data.prepare.times import from_epoch
from recbole_store.errors import BadValue, DataError, SettingsError
from recbole_store.settings.checks import separators
from recbole_store.settings.dataset_files import check_dataset as dataset_folder
from recbole_store.settings.defaults import plugin_defaults, recbole_defaults
from recbole_store.settings.keys import check_keys, declared_keys
from recbole_store.settings.property_files import read_properties
from recbole_store.settings.resolve import resolve


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
    """What RecBole and the plugin would read this data set with; ``files`` win.

    Keys that a run would refuse are left out here: :func:`_refused_settings` tells of them.
    """
    merged = {**recbole_defaults("STORE", name), **plugin_defaults("STORE", name, data_path)}
    merged["data_path"] = str(data_path)
    known = declared_keys(["STORE"])
    for path in files:
        for key, value in read_properties(path).items():
            with suppress(SettingsError):
                check_keys({key: value}, known, "")
                merged[key] = {**merged[key], **value} if key == "eval_args" else value
    return merged


def check(name: str, data_path: Path, files: list[Path]) -> Checked:
    """Read a whole data set and say what would hurt.

    Args:
        files: property files that win over the data set's own.

    Raises:
        DataError, SettingsError: there is no such data set, or it has no users, items or times.
    """
    properties = properties_of(name, data_path, files)
    if said := separators(properties):
        raise SettingsError(said)
    named = properties.get("benchmark_filename") or []
    try:
        folder = dataset_folder({**properties, "benchmark_filename": None}, name)
        main = [f"{name}.inter"]
    except SettingsError:
        if not named:
            raise
        folder = dataset_folder(properties, name)  # its benchmark files are all there is
        main = [f"{name}.{part}.inter" for part in named]
    findings = _refused_settings(name, data_path, files)
    user, item, time = (properties[f"{key}_FIELD"] for key in ("USER_ID", "ITEM_ID", "TIME"))
    columns = Columns(user, item, time, item + properties["LIST_SUFFIX"])
    options = (
        properties["field_separator"],
        properties["seq_separator"],
        properties.get("encoding") or "utf-8",
    )
    parts = [AtomicFile(path, *options) for path in sorted(folder.glob(f"{escape(name)}.*.inter"))]
    whole = [AtomicFile(folder / file, *options) for file in main]
    with tempfile.TemporaryDirectory() as working, database_faults():
        interactions = Interactions(Path(working))
        try:
            if findings and any(not {user, item} <= file.columns.keys() for file in whole):
                raise SettingsError(findings[0].text)  # what a run says of the first line
            findings += _load(whole, columns, interactions, split_ids=bool(parts))
            if not named:
                findings += length_findings(interactions, properties)
            if len(whole) == 1:
                findings += interaction_findings(interactions)
            occurring = interactions.items()
            n_users, n_rows = interactions.counts("user")[0], len(interactions)
        finally:
            interactions.close()
    candidates = set(occurring)
    for part in parts:
        is_run = part.path.name.split(".")[-2] in named
        items, n_empty = _items_of_part(part, columns)
        candidates |= items
        findings += part.findings()
        if n_empty:
            text = f"{part.path.name}: rows without an item in `{columns.item_list}`: {n_empty:,}."
            findings.append(Finding(True, text, stops=is_run))
    items = folder / f"{name}.item"
    if items.is_file():
        loaded = properties["load_col"]
        is_loaded = not isinstance(loaded, dict) or "item" in loaded
        file = AtomicFile(items, *options, is_loaded)
        findings += item_findings(file, item, candidates, bool(parts))
    findings += text_findings(folder, name, properties, item, occurring)
    return Checked(n_users, len(occurring), n_rows, findings)


def _refused_settings(name: str, data_path: Path, files: list[Path]) -> list[Finding]:
    """What a run would say of the data set's properties and of its files' first lines."""
    try:
        resolve("STORE", name, files, {"data_path": str(data_path)})
    except SettingsError as error:
        return [Finding(True, str(error), stops=True)]
    return []


def _load(
    files: list[AtomicFile], columns: Columns, interactions: Interactions, split_ids: bool
) -> list[Finding]:
    """Take in all rows of ``NAME.inter``, or of benchmark files; returns what their lines show."""
    for file in files:
        for column in (columns.user, columns.item):
            if column not in file.columns:
                there = ", ".join(file.columns) or "no header of NAME:TYPE columns"
                raise DataError(
                    f"{file.path} has no column `{column}`, but {there}; a property file of "
                    "--config_files can name others."
                )
    without = dict.fromkeys(("ids", "times"), 0)
    interactions.load(row for file in files for row in _rows(file, columns, split_ids, without))
    name = files[0].path.name
    if len(interactions) == 0:
        raise DataError(f"No row of {files[0].path} has user, item and time.")
    found = [finding for file in files if len(files) == 1 for finding in file.findings()]
    if without["ids"]:
        text = f"rows without user or item, which RecBole leaves out: {without['ids']:,}."
        found.append(Finding(True, f"{name}: {text}"))
    if without["times"]:
        text = f"rows without a time, whose place in a history is unknown: {without['times']:,}."
        found.append(Finding(True, f"{name}: {text}", stops=len(files) == 1))
    return found


def _rows(
    file: AtomicFile, columns: Columns, split_ids: bool, without: dict[str, int]
) -> Iterator[Interaction]:
    """Rows in their order; counts those without ids or times in ``without``."""
    for number, row in enumerate(file.rows((columns.user, columns.item), split_ids)):
        user, item = row[columns.user], row[columns.item]
        try:
            when = from_epoch(row[columns.time]) if columns.time in row else (number, 0)
        except BadValue:
            when = None  # of what is no number, the line's own check has said so
        if not user or not item:
            without["ids"] += 1
        elif when is None:
            without["times"] += 1
        yield Interaction(user, item, when)


def _items_of_part(file: AtomicFile, columns: Columns) -> tuple[set[str], int]:
    """Items of a benchmark file, its targets and those of its ready histories; empty histories."""
    items: set[str] = set()
    n_empty = 0
    for row in file.rows((columns.user, columns.item), split_ids=True):
        items.add(row.get(columns.item, ""))
        history = row.get(columns.item_list, "").split(file.seq_separator)
        items.update(history)
        n_empty += not any(history)
    return items - {""}, n_empty
