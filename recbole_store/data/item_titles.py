"""Items' titles by raw id, to show them to a person."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from recbole_store.data.item_texts import read_item_texts
from recbole_store.settings.property_files import recbole_folder

# What data sets call an item's name.
_NAME = re.compile(r"(?:\w*title|name): (.+)", re.DOTALL)


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
    ordered = sorted(raw_ids)
    texts = read_item_texts(folder, dataset, ["", *ordered])[1:]
    for raw_id, columns in zip(ordered, texts, strict=True):
        found.names[raw_id] = name_in(columns)
        for column in columns:
            name, _, value = column.partition(": ")
            if name == images and re.match(r"https?://", value):
                found.images[raw_id] = value
    return found


def name_in(columns: list[str]) -> str:
    """An item's title, all of its text where no column is one.

    Example: ["brand: OPI", "title: Nail Lacquer"] -> "Nail Lacquer"
    """
    found = (_NAME.fullmatch(column) for column in columns)
    return next((match[1] for match in found if match), " ".join(columns))


def shortened(text: str, most: int = 60) -> str:
    """``text`` on one line of at most ``most`` characters, cut at a space where there is one."""
    text = " ".join(text.split())
    if len(text) <= most:
        return text
    cut = text[: most - 1]
    space = cut.rfind(" ")
    return (cut[:space] if space > most // 2 else cut) + "…"
