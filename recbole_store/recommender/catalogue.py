"""A model's items: raw ids, texts column by column, and how often training had them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from recbole_store.data.item_texts import fill, join_fields, title_of
from recbole_store.errors import UnknownItemError

PADDING = "[PAD]"  # RecBole's raw id of item_id 0


@dataclass
class Catalogue:
    """Items by item_id; entry 0 of every list is padding.

    Attributes:
        raw_ids: of each item_id.
        columns: text column -> value of each item, "" for none.
        templates: text column -> its template; see
            :func:`recbole_store.data.item_texts.fill`. Empty for a run without texts.
        counts: training interactions, int64.
        n_fitted: items 1 to ``n_fitted`` were there in training, those behind came later.
    """

    raw_ids: list[str]
    columns: dict[str, list[str]]
    templates: dict[str, str]
    counts: np.ndarray
    n_fitted: int
    item_ids: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self):
        self.item_ids = {raw: item for item, raw in enumerate(self.raw_ids) if item > 0}

    def __len__(self) -> int:
        """Items, without padding."""
        return len(self.raw_ids) - 1

    def title(self, item_id: int) -> str:
        """What an item is called; see :func:`recbole_store.data.item_texts.title_of`."""
        return title_of(self.row(item_id), self.templates)

    def row(self, item_id: int) -> dict[str, str]:
        """Text column -> value."""
        return {column: values[item_id] for column, values in self.columns.items()}

    def fields(self, item_id: int) -> list[str]:
        """The fields of an item's text."""
        return fill(self.templates, self.row(item_id))

    def texts(self) -> list[str]:
        """The text of every item_id, "" for padding."""
        return ["", *(join_fields(self.fields(item)) for item in range(1, len(self.raw_ids)))]

    def item_id(self, raw_id) -> int:
        """Raises UnknownItemError."""
        found = self.item_ids.get(str(raw_id))
        if found is None:
            whole = str(raw_id).removesuffix(".0")  # as `prepare` writes whole numbers
            meant = f" (did you mean {whole!r}?)" if whole in self.item_ids else ""
            raise UnknownItemError(
                f"The model has no item {str(raw_id)!r} among its {len(self):,}{meant}: ids are of "
                "the data that it was trained on; new items are added with add_items."
            )
        return found

    def known(self, raw_ids: Iterable) -> list[int]:
        """item_ids of those that the model has, in their order."""
        found = (self.item_ids.get(str(raw)) for raw in raw_ids)
        return [item for item in found if item is not None]

    def add(self, raw_ids: list[str], rows: list[Mapping[str, str]]) -> None:
        """Take new items, behind all others."""
        first = len(self.raw_ids)
        self.raw_ids = [*self.raw_ids, *raw_ids]
        self.columns = {
            column: [*values, *(row.get(column, "") for row in rows)]
            for column, values in self.columns.items()
        }
        self.counts = np.concatenate([self.counts, np.zeros(len(rows), dtype=np.int64)])
        self.item_ids.update({raw: first + place for place, raw in enumerate(raw_ids)})
