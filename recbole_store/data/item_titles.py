"""Items' titles by raw id, to show them to a person."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from recbole_store.data.item_texts import read_item_columns, title_of
from recbole_store.settings.property_files import recbole_folder


@dataclass
class ItemTitles:
    """What is known of items; of one that is not known the raw id is shown.

    Attributes:
        images: raw id -> address, where a column of them was asked for.
    """

    names: dict[str, str] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)

    def title(self, raw_id: str) -> str:
        """On one line."""
        return shortened(self.names.get(raw_id) or raw_id)


def read_item_titles(
    data_path: Path, dataset: str, raw_ids: set[str], images: str | None = None
) -> ItemTitles:
    """Titles of a data set's items, none where the data do not lie.

    Args:
        data_path: folder of the data sets; ml-100k is RecBole's own.
        images: column with the addresses of images.

    Raises:
        ItemTextError: its texts cannot be read.
    """
    folder, found = data_path / dataset, ItemTitles()
    if dataset == "ml-100k":
        folder = recbole_folder() / "dataset_example" / dataset
    if not raw_ids or Path(dataset).name != dataset or not folder.is_dir():
        return found
    columns = read_item_columns(folder, dataset)
    for raw_id in raw_ids & columns.rows.keys():
        row = columns.rows[raw_id]
        found.names[raw_id] = title_of(row, columns.templates)
        if re.match(r"https?://", row.get(images, "")):
            found.images[raw_id] = row[images]
    return found


def shortened(text: str, most: int = 60) -> str:
    """``text`` on one line of at most ``most`` characters, cut at a space where there is one."""
    text = " ".join(text.split())
    if len(text) <= most:
        return text
    cut = text[: most - 1]
    space = cut.rfind(" ")
    return (cut[:space] if space > most // 2 else cut) + "…"
