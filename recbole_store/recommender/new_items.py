"""New items: rows with texts, checked all together, given codes that nobody has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from recbole_store.data.item_texts import fill, join_fields
from recbole_store.errors import DisambiguationOverflow, RequestError
from recbole_store.recommender.catalogue import PADDING, Catalogue

ID = "item_id"


class NewItems(NamedTuple):
    """Rows that the model does not have yet, and how many of the others it had already."""

    raw_ids: list[str]
    rows: list[dict[str, str]]  # text column -> value
    n_known: int  # rows of items that the model has
    n_other_text: int  # of these, with another text than the model's: they stay as they are


def check_rows(catalogue: Catalogue, rows: Iterable[tuple[str, Mapping]]) -> NewItems:
    """Which rows are new items.

    Args:
        rows: each with its place, for a message; of ``item_id`` and the text columns that the run
            had, others are left out.

    Raises:
        RequestError: for the first row that is no item with a text. None is taken then.
    """
    if not catalogue.templates:
        raise RequestError(
            "The model's run had no texts of items, so that it cannot tell what a new item is like."
        )
    found: dict[str, dict[str, str]] = {}
    texts: dict[str, str] = {}
    n_known = n_other_text = 0
    for where, given in rows:
        raw_id = _value(given.get(ID))
        if not raw_id or raw_id == PADDING:
            raise RequestError(f"{where}: no `{ID}`. No item was added.")
        row = {column: _value(given.get(column)) for column in catalogue.columns}
        text = join_fields(fill(catalogue.templates, row))
        if not text:
            raise RequestError(
                f"{where}: item {raw_id} has no text; the run's text columns are "
                f"{', '.join(catalogue.templates)}. No item was added."
            )
        if raw_id in catalogue.item_ids:
            n_known += 1
            own = join_fields(catalogue.fields(catalogue.item_ids[raw_id]))
            n_other_text += own != text
        elif raw_id in found:
            if texts[raw_id] != text:
                raise RequestError(
                    f"{where}: item {raw_id} has come before, with another text. No item was added."
                )
            n_known += 1
        else:
            found[raw_id], texts[raw_id] = row, text
    return NewItems(list(found), list(found.values()), n_known, n_other_text)


def _value(value) -> str:
    """A cell as text, "" for a missing one; whole floats are whole, as ids of a frame should be."""
    if value is None or (isinstance(value, (float, np.floating)) and np.isnan(value)):
        return ""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    if isinstance(value, (list, tuple, np.ndarray)):
        return ", ".join(_value(part) for part in value)
    if type(value).__name__ in ("NAType", "NaTType"):  # pandas' own missing values
        return ""
    return str(value).strip()


def free_ids(codes: Tensor, taken: Tensor, size: int) -> Tensor:
    """Semantic IDs of new items: the lowest code of the last level that is free behind theirs.

    Args:
        codes: int64 [n, L - 1].
        taken: semantic IDs of all items, int64 [N, L].
        size: codes of the last level.

    Returns:
        int64 [n, L].

    Example: codes [[3, 1], [3, 1]], taken [[3, 1, 0], [3, 1, 2]] -> [[3, 1, 1], [3, 1, 3]]

    Raises:
        DisambiguationOverflow: some codes have no room for all of them.
    """
    wanted = {tuple(row) for row in codes.tolist()}
    used: dict[tuple, set[int]] = {row: set() for row in wanted}
    for *row, last in taken.tolist():
        if tuple(row) in used:
            used[tuple(row)].add(last)
    counts = Counter(tuple(row) for row in codes.tolist())
    over = {row: n - (size - len(used[row])) for row, n in counts.items()}
    over = {row: n for row, n in over.items() if n > 0}
    if over:
        row, n = max(over.items(), key=lambda pair: pair[1])
        raise DisambiguationOverflow(
            f"{sum(over.values())} new items find no free code: {n} of them behind {list(row)}, "
            f"where `disambiguation_size` leaves room for {size}. No item was added; train anew "
            "with a larger one, or leave these items out."
        )
    found = []
    for row in map(tuple, codes.tolist()):
        last = next(code for code in range(size) if code not in used[row])
        used[row].add(last)
        found.append([*row, last])
    return torch.tensor(found, dtype=torch.long).view(len(codes), -1)


def take(model: nn.Module, catalogue: Catalogue, new: NewItems) -> None:
    """Let the model and its catalogue have new items; nothing is trained, no other item changes.

    Raises:
        DisambiguationOverflow: as :func:`free_ids`; nothing has changed then.
        NoCodesError: the model's codes say nothing of texts.
    """
    if not new.raw_ids:
        return
    fields = [fill(catalogue.templates, row) for row in new.rows]
    texts = [join_fields(parts) for parts in fields]
    if hasattr(model, "item_tokenizer"):
        tokenizer = model.item_tokenizer
        codes, points = tokenizer.read(texts)
        ids = free_ids(codes.cpu(), tokenizer.semantic_ids[1:].cpu(), tokenizer.sizes[-1])
        model.add_items(fields, ids, points)
    else:
        model.add_items(fields)
    catalogue.add(new.raw_ids, new.rows)
