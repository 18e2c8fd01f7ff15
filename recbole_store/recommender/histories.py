"""Histories as people give them -> item_ids, and as models read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from zlib import crc32

import pandas as pd
import torch
from torch import Tensor, nn

from recbole_store.errors import RequestError
from recbole_store.recommender.catalogue import Catalogue

USER_COLUMNS, ITEM_COLUMNS = ("user_id", "user"), ("item_id", "item")


class Histories(NamedTuple):
    """Histories with what they are called."""

    names: list  # of each: a raw user id, or a number
    raw_ids: list[list[str]]  # of its items, the latest last
    are_users: bool


def as_histories(given, users: Sequence | None = None) -> Histories:
    """Lists of raw ids, or a frame of user and item, in the order of time.

    Args:
        given: a frame's rows may mix users; each user's keep their order.
        users: raw user id of each list.

    Raises:
        RequestError: it is neither.
    """
    if isinstance(given, pd.DataFrame):
        user = _column(given, USER_COLUMNS)
        item = _column(given, ITEM_COLUMNS)
        grouped = given.groupby(user, sort=False)[item]
        names, lists = [], []
        for name, items in grouped:
            names.append(name)
            lists.append([str(raw) for raw in items])
        return Histories(names, lists, True)
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise RequestError("Histories are lists of raw item ids, or a frame of user and item.")
    lists = []
    for history in given:
        if isinstance(history, str) or not isinstance(history, Iterable):
            raise RequestError(
                f"A history is a list of raw item ids, but {history!r} is none: for one history "
                "write recommend(items=[...])."
            )
        lists.append([str(raw) for raw in history])
    if users is None:
        return Histories(list(range(len(lists))), lists, False)
    if len(users) != len(lists):
        raise RequestError(f"{len(lists)} histories, but {len(users)} users.")
    return Histories(list(users), lists, True)


def _column(frame: pd.DataFrame, names: tuple[str, ...]) -> str:
    for name in names:
        if name in frame.columns:
            return name
    raise RequestError(
        f"A frame of histories has a column `{names[0]}`; this one has "
        f"{', '.join(map(str, frame.columns)) or 'none'}."
    )


class Batch:
    """Rows of a batch, read as RecBole's Interaction is.

    Args:
        columns: field -> [B, ...].
    """

    def __init__(self, columns: dict[str, Tensor]):
        self.columns = columns

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __contains__(self, field: str) -> bool:
        return field in self.columns

    def __getitem__(self, index):
        if isinstance(index, str):
            return self.columns[index]
        return Batch({field: values[index] for field, values in self.columns.items()})


class HistoryReader:
    """Makes of item_ids what a model reads.

    Args:
        model: one of the four.
        users: raw id -> token, of a model that tells users apart.
    """

    def __init__(self, model: nn.Module, catalogue: Catalogue, users: dict[str, int]):
        self.model, self.catalogue, self.users = model, catalogue, users

    def item_ids(self, raw_ids: Sequence[str], skip_unknown: bool) -> list[int]:
        """item_ids of a history; raises RequestError for the first that is unknown."""
        if skip_unknown:
            return self.catalogue.known(raw_ids)
        return [self.catalogue.item_id(raw) for raw in raw_ids]

    def user_token(self, name) -> int:
        """What the model knows a user by; one that training did not have is hashed."""
        found = self.users.get(str(name))
        if found is not None:
            return found
        n_tokens = getattr(self.model, "n_user_tokens", 0)
        return crc32(str(name).encode()) % n_tokens if n_tokens else 0

    def rows(
        self, histories: list[list[int]], users: Sequence, targets: Tensor | None = None
    ) -> Batch:
        """A batch: each history's last items, as many as the model reads.

        Args:
            histories: item_ids, at least one each.
            users: raw user id or other name of each.
            targets: item_ids to be scored behind them, int64 [B].
        """
        model = self.model
        longest = model.max_seq_length
        item_seq = torch.zeros(len(histories), longest, dtype=torch.long)
        for row, items in enumerate(histories):
            last = items[-longest:]
            item_seq[row, : len(last)] = torch.tensor(last)
        lengths = torch.tensor([min(len(items), longest) for items in histories])
        columns = {
            model.USER_ID: torch.tensor([self.user_token(name) for name in users]),
            model.ITEM_SEQ: item_seq,
            model.ITEM_SEQ_LEN: lengths,
        }
        if targets is not None:
            columns[model.ITEM_ID] = targets
        return Batch({field: values.to(model.device) for field, values in columns.items()})
