"""Why an item: its codes and who shares them, and what moved its score behind a history."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import torch

from recbole_store.errors import RequestError

WORDS = 16  # tokens of what the LLM rebuilds
RANKED = 100  # places of a list in which an item is looked for


@dataclass(frozen=True)
class Level:
    """One code of an item.

    Attributes:
        code: at this level.
        rebuilt: the text that the LLM makes of the codes so far; None where it makes none.
        shared_by: how many other items share all codes so far.
        neighbours: some of these, the most frequent first: columns ``item_id`` and ``title``.
    """

    code: int
    rebuilt: str | None
    shared_by: int
    neighbours: pd.DataFrame


@dataclass(frozen=True)
class Explanation:
    """What an item is to a model, and why it recommends it.

    Attributes:
        item_id, title, semantic_id: of the item.
        levels: of its codes, with the last, which only tells look-alikes apart; empty for a model
            without.
        score: behind the history; None without one, as all that follows.
        rank: place in the list, from 1, the history's own items counted; None beyond RANKED.
        gains: part ("codes", "text", "id", ...) -> how much more the item gets by it than the mean
            item or one drawn at random, in log-probability or the model's own score.
        shares: part -> its share of all gains; negative ones count as none.
        moved: items of the history, those first that moved the score most: columns ``item_id``,
            ``title`` and ``change``, the score less what it is without the item.
    """

    item_id: str
    title: str
    semantic_id: tuple[int, ...] | None
    levels: list[Level]
    score: float | None = None
    rank: int | None = None
    gains: dict[str, float] | None = None
    shares: dict[str, float] | None = None
    moved: pd.DataFrame | None = None

    def as_dict(self) -> dict:
        """Plain values, as JSON has them."""
        found = {**vars(self), "levels": [dict(vars(level)) for level in self.levels]}
        for level in found["levels"]:
            level["neighbours"] = level["neighbours"].to_dict("records")
        if self.moved is not None:
            found["moved"] = self.moved.to_dict("records")
        return found


def explain(store, item_id: int, history: list[int] | None, user, k: int) -> Explanation:
    """See :meth:`recbole_store.recommender.recommender.Recommender.explain`.

    Args:
        store: the Recommender.
        item_id: to be explained.
        history: item_ids; None to explain the item alone.
        user: raw id or another name.

    Raises:
        RequestError: the history is empty.
    """
    catalogue = store.catalogue
    own = (catalogue.raw_ids[item_id], catalogue.title(item_id), store.codes(item_id))
    levels = _levels(store, item_id, k)
    if history is None:
        return Explanation(*own, levels)
    if not history:
        raise RequestError("An empty history explains nothing: behind it come the usual items.")
    gains = _gains(store, item_id, history, user)
    positive = sum(max(gain, 0.0) for gain in gains.values())
    shares = {name: max(gain, 0.0) / (positive or 1.0) for name, gain in gains.items()}
    score, moved = _leave_one_out(store, item_id, history, user, k)
    return Explanation(
        *own, levels, score, _rank(store, item_id, history, user), gains, shares, moved
    )


def _levels(store, item_id: int, k: int) -> list[Level]:
    model, catalogue = store.model, store.catalogue
    if not hasattr(model, "item_tokenizer"):
        return []
    ids, found = model.semantic_ids, []
    counts = torch.from_numpy(catalogue.counts)
    for level in range(ids.size(1)):
        codes = ids[item_id, : level + 1]
        same = (ids[:, : level + 1] == codes).all(1)
        same[[0, item_id]] = False
        others = same.nonzero().squeeze(1).cpu()
        first = others[counts[others].argsort(descending=True, stable=True)][:k].tolist()
        rows = [(catalogue.raw_ids[item], catalogue.title(item)) for item in first]
        neighbours = pd.DataFrame(rows, columns=["item_id", "title"])
        found.append(Level(int(codes[-1]), model.rebuild(codes, WORDS), len(others), neighbours))
    return found


@torch.no_grad()
def _gains(store, item_id: int, history: list[int], user) -> dict[str, float]:
    batch = store.reader.rows([history], [user], torch.tensor([item_id]))
    return {name: float(gain) for name, gain in store.model.contributions(batch).items()}


@torch.no_grad()
def _leave_one_out(
    store, item_id: int, history: list[int], user, k: int
) -> tuple[float, pd.DataFrame]:
    read = history[-store.max_history :]
    others = [read[:place] + read[place + 1 :] for place in range(len(read))]
    histories = [read, *(other for other in others if other)]
    targets = torch.full((len(histories),), item_id)
    batch = store.reader.rows(histories, [user] * len(histories), targets)
    score, *without = store.model.predict(batch).tolist()
    rows = [
        (*(store.catalogue.raw_ids[item], store.catalogue.title(item)), score - other)
        for item, other in zip(read, without, strict=False)
    ]
    rows.sort(key=lambda row: -abs(row[2]))
    return score, pd.DataFrame(rows[:k], columns=["item_id", "title", "change"])


def _rank(store, item_id: int, history: list[int], user) -> int | None:
    lists = store.ranker.rank([history], [user], RANKED, exclude_seen=False)
    is_item = lists.items[0] == item_id
    return int(is_item.argmax()) + 1 if is_item.any() else None
