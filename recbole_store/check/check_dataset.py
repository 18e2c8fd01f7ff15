"""All checks of one data set."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple

from recbole_store.check.atomic_lines import AtomicFile
from recbole_store.check.finding import Finding
from recbole_store.check.interaction_findings import interaction_findings
from recbole_store.check.item_findings import item_findings, text_findings
from recbole_store.prepare.data_error import BadValue, DataError
from recbole_store.prepare.database import database_faults
from recbole_store.prepare.interactions import Interaction, Interactions
from recbole_store.prepare.times import from_epoch
from recbole_store.property_files import plugin_defaults, read_properties, recbole_folder
from recbole_store.settings import check_dataset as dataset_folder


class Checked(NamedTuple):
    """The size of a data set and what was found."""

    n_users: int
    n_items: int
    n_interactions: int
    findings: list[Finding]


def properties_of(name: str, data_path: Path, files: list[Path]) -> dict:
    """What RecBole and the plugin would read this data set with; ``files`` win."""
    theirs = recbole_folder() / "properties" / "dataset"
    merged = {"data_path": str(data_path)}
    for path in (theirs / "sample.yaml", theirs / f"{name}.yaml"):
        if path.is_file():
            merged.update(read_properties(path))
    merged.update(plugin_defaults("STORE", name, data_path))
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
    user, item, time = (properties[key] for key in ("USER_ID_FIELD", "ITEM_ID_FIELD", "TIME_FIELD"))
    options = (
        properties["field_separator"],
        properties["seq_separator"],
        properties.get("encoding") or "utf-8",
    )
    parts = sorted(folder.glob(f"{name}.*.inter"))
    list_column = item + properties["LIST_SUFFIX"]
    with tempfile.TemporaryDirectory() as working, database_faults():
        interactions = Interactions(Path(working))
        try:
            main = AtomicFile(folder / f"{name}.inter", *options)
            for column in (user, item):
                if column not in main.columns:
                    raise DataError(
                        f"{main.path} has no column `{column}`, but {', '.join(main.columns)}; "
                        f"a property file of --config_files names others."
                    )
            findings = (
                []
                if time in main.columns
                else [
                    Finding(
                        True, f"{main.path.name} has no column `{time}`: the order is the file's."
                    )
                ]
            )
            interactions.load(_rows(main, user, item, time, bool(parts)))
            findings += main.findings()
            if len(interactions) == 0:
                raise DataError(f"No row of {main.path} has user, item and time.")
            if interactions.incomplete:
                findings.append(
                    Finding(
                        True,
                        f"{main.path.name}: rows without user, item or a time that is a number: "
                        f"{interactions.incomplete:,}.",
                    )
                )
            findings += interaction_findings(interactions)
            n_users, n_items = (interactions.counts(kind)[0] for kind in ("user", "item"))
            occurring, n_rows = interactions.items(), len(interactions)
        finally:
            interactions.close()
    candidates = set(occurring)
    for path in parts:
        part = AtomicFile(path, *options)
        for row in part.rows((user, item), split_ids=True):
            candidates.add(row.get(item, ""))
            candidates.update(row.get(list_column, "").split(options[1]))
        findings += part.findings()
    candidates.discard("")
    items = folder / f"{name}.item"
    if items.is_file():
        findings += item_findings(AtomicFile(items, *options), item, candidates, bool(parts))
    findings += text_findings(folder, name, properties, item, occurring)
    return Checked(n_users, n_items, n_rows, findings)


def _rows(file: AtomicFile, user: str, item: str, time: str, split_ids: bool):
    for number, row in enumerate(file.rows((user, item), split_ids)):
        try:
            when = from_epoch(row[time]) if time in row else (number, 0)
        except BadValue:
            when = None  # the line's own check has said so
        yield Interaction(row[user], row[item], when)
