"""Items of ``NAME.item`` and their texts, against those that occur in interactions."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from recbole_store.data.check.atomic_lines import AtomicFile
from recbole_store.data.check.finding import Finding
from recbole_store.data.item_texts import read_item_texts
from recbole_store.errors import ItemTextError

EXAMPLES = 3


def item_findings(
    file: AtomicFile, id_column: str, occurring: set[str], split_ids: bool
) -> list[Finding]:
    """Items without interactions, interactions without an item's row, items with two rows."""
    if id_column not in file.columns:
        return file.findings() + [Finding(True, f"{file.path.name} has no column `{id_column}`.")]
    ids: set[str] = set()
    twice: list[str] = []
    for row in file.rows((id_column,), split_ids):
        if row[id_column] in ids:
            twice.append(row[id_column])
        ids.add(row[id_column])
    found = file.findings()
    if twice:
        found.append(
            Finding(True, f"{file.path.name}: items with more than one row: {_some(twice)}.")
        )
    if unused := sorted(ids - occurring):
        ranked = (
            "Every model ranks them, too, since `load_col` names the file."
            if file.is_loaded
            else "A model that loads the file ranks them, too; one that does not load it does not."
        )
        text = f"{file.path.name}: items without interactions: {_some(unused)}. {ranked}"
        found.append(Finding(not file.is_loaded, text))
    if unknown := sorted(occurring - ids):
        text = f"{file.path.name}: items that have no row there: {_some(unknown)}. "
        text += (
            "Every model loses their interactions, since `load_col` names the file."
            if file.is_loaded
            else "A model that loads the file loses their interactions."
        )
        found.append(Finding(file.is_loaded, text))
    return found


def text_findings(
    folder: Path, name: str, properties: dict, id_column: str, occurring: set[str]
) -> list[Finding]:
    """Items that STORE, and whatever else reads texts, could not tell apart."""
    ids = sorted(occurring)
    try:
        texts = read_item_texts(
            folder,
            name,
            ["[PAD]", *ids],
            id_column=id_column,
            templates=properties.get("item_text"),
            separator=properties["field_separator"],
            encoding=properties.get("encoding") or "utf-8",
        )
    except ItemTextError as error:
        return [Finding(True, str(error), stops=True)]
    found = []
    if empty := [raw_id for raw_id, text in zip(ids, texts[1:], strict=True) if not text]:
        found.append(
            Finding(
                True,
                f"Items without text, which text-based models cannot tell apart: {_some(empty)}.",
            )
        )
    counts = Counter(map(tuple, texts[1:]))
    same = len(ids) - len(empty) - len(counts.keys() - {()})
    if same:
        found.append(Finding(False, f"Items with the very text of another item: {same:,}."))
    most = max(counts.values())
    if most > properties["disambiguation_size"]:
        said = (
            f"Items that share one text, or have none: {most:,}, more than `disambiguation_size` "
            f"({properties['disambiguation_size']}) tells apart: raise it to {most}, or give texts "
            "that tell them apart."
        )
        found.append(Finding(True, said, stops=True))
    return found


def _some(ids: list[str]) -> str:
    """["a", "b"] -> "2 (a, b)"."""
    return f"{len(ids):,} ({', '.join(ids[:EXAMPLES])}{', ...' if len(ids) > EXAMPLES else ''})"
