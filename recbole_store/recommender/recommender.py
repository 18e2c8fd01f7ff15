"""The object that a finished run is: it recommends, takes new items, explains, and is saved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from recbole_store.errors import RequestError
from recbole_store.recommender.card import card_text
from recbole_store.recommender.catalogue import Catalogue
from recbole_store.recommender.explanation import Explanation, explain
from recbole_store.recommender.folder import write_folder
from recbole_store.recommender.histories import HistoryReader, as_histories
from recbole_store.recommender.loading import load_model
from recbole_store.recommender.new_items import NewItems, check_rows, take
from recbole_store.recommender.ranking import Lists, Ranker
from recbole_store.recommender.similar import likeness_to

COLUMNS = ["item_id", "title", "score", "semantic_id"]


class Recommender:
    """A trained model with its items. Ids are raw ones, those of the data, in and out.

    What a history may be:

    - The latest item comes last. A model reads as many of the last items as its training did
      (``max_history``); with ``exclude_seen`` all of them are left out of the list.
    - An item twice is read twice, as training did.
    - Behind an empty history come the items that training had most often.
    - An item that the model does not have is an error, or, with ``unknown="skip"``, is left out.

    Attributes:
        model: one of STORE, TIGER, SASRecAll and Neighbours, on its device.
        catalogue: its items.
        config: what config.json says of the run.
    """

    def __init__(self, model: nn.Module, catalogue: Catalogue, config: dict, users: dict[str, int]):
        self.model, self.catalogue, self.config, self.users = model, catalogue, config, users
        self.reader = HistoryReader(model, catalogue, users)
        self._shown_items: tuple | None = None  # for tables, made when first asked for
        self.ranker = Ranker(model, catalogue, self.reader, max(config["settings"]["topk"]))
        self.new_item_bias = config.get("new_item_bias", 0.0)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        device: str | torch.device | None = None,
        precision: str | None = None,
    ) -> Recommender:
        """A model from its folder; see :func:`recbole_store.recommender.loading.load_model`."""
        model, contents = load_model(Path(folder), device, precision)
        return cls(model, contents.catalogue, contents.config, contents.users)

    def __len__(self) -> int:
        """How many items it can recommend."""
        return len(self.catalogue)

    def __repr__(self) -> str:
        return f"{self.config['model']} on {self.config['dataset']}, {len(self):,} items"

    @property
    def new_item_bias(self) -> float:
        """What items that came after training gain in every ranking.

        A model that never saw an item chosen ranks it below most others. A run that withheld items
        (``cold_items``) has found how much they may gain at a loss of 3% of the known targets, and
        its folder keeps that; of any other run it is 0 until it is set. ``save`` keeps it.
        TIGER, and a STORE that ranks by codes alone, have no such gain.
        """
        return self.config["new_item_bias"]

    @new_item_bias.setter
    def new_item_bias(self, bias: float) -> None:
        self.config["new_item_bias"] = float(bias)
        takes_it = self.model if hasattr(self.model, "new_item_bias") else self.ranker
        takes_it.new_item_bias = float(bias)

    @property
    def max_history(self) -> int:
        """How many of a history's last items the model reads."""
        return self.model.max_seq_length

    def recommend(
        self,
        histories=None,
        *,
        items: Sequence | None = None,
        users: Sequence | None = None,
        k: int = 10,
        exclude_seen: bool = True,
        only=None,
        unknown: str = "error",
    ) -> pd.DataFrame:
        """The best k items behind a history, or behind each of many.

        Args:
            histories: many: lists of raw item ids, or a frame with the columns ``user_id`` and
                ``item_id`` in the order of time.
            items: one history instead.
            users: raw user id of each list, for a model that tells users apart (TIGER).
            exclude_seen: leave out a history's own items.
            only: raw ids of the items that may be recommended, or a mask, bool, of all items in
                their order; None: all.
            unknown: what becomes of an item that the model does not have: "error" or "skip".

        Returns:
            Columns ``item_id``, ``title``, ``score`` (a log-probability, or the model's own score)
            and ``semantic_id`` (codes; None for a model without), best first. Of many histories
            ``user_id``, or the number of the ``history``, and ``rank`` stand before them. A list is
            shorter than k where fewer items are left.

        Raises:
            RequestError: an item is unknown, or an argument is not what it should be.
        """
        if (items is None) == (histories is None):
            raise RequestError("Give either `items`, one history, or `histories`, many.")
        given = as_histories([items] if items is not None else histories, users)
        read = [self.reader.item_ids(raw, self._skips(unknown)) for raw in given.raw_ids]
        names = given.names if given.are_users else [""] * len(read)
        lists = self.ranker.rank(read, names, _at_least_one(k), exclude_seen, self.mask(only))
        if items is not None:
            return self.frame(lists.items[0], lists.scores[0])
        return self._many(lists, given.names, "user_id" if given.are_users else "history")

    def mask(self, only) -> Tensor | None:
        """bool [n_items]: which items may be recommended; None for all.

        Args:
            only: see :meth:`recommend`.
        """
        if only is None:
            return None
        values = np.asarray(list(only) if not isinstance(only, np.ndarray) else only)
        allowed = torch.zeros(len(self) + 1, dtype=torch.bool)
        if values.dtype == bool:
            if len(values) != len(self):
                raise RequestError(
                    f"A mask holds a value for each of {len(self)} items, not {len(values)}."
                )
            allowed[1:] = torch.from_numpy(values)
        else:
            allowed[[self.catalogue.item_id(raw) for raw in values.tolist()]] = True
        if not allowed.any():
            raise RequestError("`only` leaves no item to recommend.")
        return allowed

    def add_items(self, rows) -> NewItems:
        """Take new items by their texts, to be recommended at once; nothing is trained.

        Known items keep their ids, codes and vectors, also where a row has another text for one.
        Adding the same rows again changes nothing. Nothing is added if any row is wrong.

        Args:
            rows: a frame, or mappings, with ``item_id`` and the run's text columns.

        Returns:
            What was added.

        Raises:
            RequestError: a row, called by its number from 1, has no id or no text, or an id comes
                with two texts.
            DisambiguationOverflow: too many items share their codes.
            NoCodesError: the model's codes say nothing of texts (``tokenizer: random``).
        """
        if isinstance(rows, pd.DataFrame):
            rows = rows.to_dict("records")
        return self.add_rows((f"row {n}", row) for n, row in enumerate(rows, start=1))

    def add_rows(self, rows: Iterable[tuple[str, Mapping]]) -> NewItems:
        """The same of rows that come with their places, such as those of a file."""
        new = check_rows(self.catalogue, rows)
        take(self.model, self.catalogue, new)
        return new

    def similar(self, item, k: int = 10) -> pd.DataFrame:
        """The k items likest to one, in the frame of :meth:`recommend`; scores are likenesses.

        By the model's own vectors of items, or by what its codes are made of.

        Raises:
            RequestError: the model does not have it.
        """
        item_id = self.catalogue.item_id(item)
        scores = likeness_to(self.model, self.catalogue, item_id)
        scores[[0, item_id]] = -torch.inf
        best, items = scores.topk(min(_at_least_one(k), len(self) - 1))
        return self.frame(items.cpu().numpy(), best.cpu().numpy())

    def explain(self, item, items: Sequence | None = None, user=None, k: int = 5) -> Explanation:
        """What an item is to the model and, with a history, why it is where it is in the ranking.

        Args:
            items: a history, raw ids.
            user: its raw user id, for a model that tells users apart.
            k: items shown for each prefix of the codes, and of the history.

        Raises:
            RequestError: the model does not have one of them.
        """
        history = None
        if items is not None:
            history = [self.catalogue.item_id(raw) for raw in items]
        return explain(self, self.catalogue.item_id(item), history, "" if user is None else user, k)

    def save(self, folder: str | Path) -> Path:
        """Write the model with all its items, in the place of a model that may be there.

        Raises:
            ModelFolderError: the folder cannot be written, or holds other things.
        """
        folder = Path(folder)
        card = card_text(self.config, self.catalogue)
        write_folder(folder, self.model, self.catalogue, self.config, self.users, card)
        return folder

    def frame(self, items: np.ndarray, scores: np.ndarray) -> pd.DataFrame:
        """Items [n] with their scores as a table; item_id 0 is no item."""
        scores, items = scores[items > 0], items[items > 0]
        raw_ids, titles, codes = self._shown()
        columns = (raw_ids[items], titles[items], scores.astype(np.float64), codes[items])
        return pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))

    def _shown(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Raw id, title and codes of every item_id."""
        if self._shown_items is None or len(self._shown_items[0]) != len(self) + 1:
            n_rows = len(self) + 1
            codes = np.full(n_rows, None, dtype=object)
            if hasattr(self.model, "item_tokenizer"):
                codes[:] = [tuple(row) for row in self.model.semantic_ids.tolist()]
            titles = [self.catalogue.title(item) for item in range(n_rows)]
            self._shown_items = (
                np.array(self.catalogue.raw_ids, dtype=object),
                np.array(titles, dtype=object),
                codes,
            )
        return self._shown_items

    def codes(self, item_id: int) -> tuple[int, ...] | None:
        """An item's semantic ID; None for a model without."""
        return self._shown()[2][item_id]

    def _many(self, lists: Lists, names: list, called: str) -> pd.DataFrame:
        rows, ranks = np.nonzero(lists.items > 0)
        frame = self.frame(lists.items[rows, ranks], lists.scores[rows, ranks])
        frame.insert(0, called, [names[row] for row in rows])
        frame.insert(1, "rank", ranks + 1)
        return frame

    def _skips(self, unknown: str) -> bool:
        if unknown not in ("error", "skip"):
            raise RequestError(f"`unknown` is {unknown!r}, but must be 'error' or 'skip'.")
        return unknown == "skip"


def _at_least_one(k) -> int:
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise RequestError(f"`k` is {k!r}, but must be an integer of at least 1.")
    return int(k)
