"""Which users are shown, and what each model recommended to them."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass

import numpy as np

from recbole_store.errors import SettingsError
from recbole_store.experiments.report.page.group import Group
from recbole_store.experiments.results.run_key import Run

SHOWN_USERS = 4
SHOWN_ITEMS = 10

# What item texts call an item's name: a column such as title, movie_title or name, up to the next.
_NAME = re.compile(r"(?:^| )(?:\w*title|name): (.+?)(?= [a-z_]+: |$)", re.DOTALL)


class ItemNames:
    """Items' titles and semantic IDs, as far as the runs' folders have them."""

    def __init__(self, group: Group):
        self.titles: dict[str, str] = {}
        for run in group.runs:
            for raw_id, (_, text) in semantic_id_table(run).items():
                if text:
                    self.titles.setdefault(raw_id, name_in(text))

    def title(self, raw_id: str) -> str:
        """The item's title, cut to a line; its raw id where there is no text."""
        return shortened(self.titles.get(raw_id) or raw_id)


def name_in(text: str) -> str:
    """An item's title out of its text, the whole text where no column of it is one.

    Example: "brand: OPI title: Nail Lacquer" -> "Nail Lacquer"
    """
    found = _NAME.search(text)
    return found[1] if found else text


def shortened(text: str, most: int = 60) -> str:
    """``text`` in at most ``most`` characters, cut at a space where there is one."""
    text = " ".join(text.split())
    if len(text) <= most:
        return text
    cut = text[: most - 1]
    space = cut.rfind(" ")
    return (cut[:space] if space > most // 2 else cut) + "…"


def semantic_id_table(run: Run) -> dict[str, tuple[str, str]]:
    """Raw id -> semantic ID and text of a run's ``semantic_ids.tsv``; empty without the file."""
    path = run.file("semantic_ids.tsv")
    if path is None:
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t"))
    if not rows or rows[0] != ["item_id", "semantic_id", "text"]:
        raise SettingsError(
            f"{path} does not begin with item_id, semantic_id, text: run that model again."
        )
    return {raw_id: (semantic_id, text) for raw_id, semantic_id, text in rows[1:]}


@dataclass(frozen=True)
class Lists:
    """What one run recommended to the example users."""

    label: str
    users: list[str]  # E
    histories: np.ndarray  # int32 [E, 10] item_ids, 0 before the first
    targets: np.ndarray  # int32 [E] item_ids
    ranked: np.ndarray  # int32 [E, K] item_ids, best first
    ranks: np.ndarray  # int32 [E] of the targets; 0: not found
    raw_ids: np.ndarray  # str [n_items]
    semantic_ids: dict[str, tuple[str, str]]

    def names(self, item_ids: np.ndarray) -> list[str]:
        """Raw ids of item_ids; padding is left out."""
        return [str(self.raw_ids[item]) for item in item_ids if item > 0]


def example_lists(run: Run, history_filter: str) -> Lists | None:
    """A run's lists for its example users; None where its folder does not have them."""
    ranked, histories = run.arrays("ranked.npz"), run.arrays("histories.npz")
    if ranked is None or histories is None:
        return None
    row_of = {str(user): row for row, user in enumerate(ranked["users"])}
    users = [str(user) for user in histories["users"]]
    unknown = [user for user in users if user not in row_of]
    if unknown:
        raise SettingsError(
            f"{run.folder}/histories.npz has the user {unknown[0]!r}, whom ranked.npz lacks: "
            f"run {run.label} again."
        )
    rows = np.array([row_of[user] for user in users], dtype=int)
    return Lists(
        run.label,
        users,
        histories["histories"],
        ranked["targets"][rows],
        ranked[f"items_{history_filter}"][rows],
        ranked[f"ranks_{history_filter}"][rows],
        ranked["raw_ids"],
        semantic_id_table(run),
    )


def chosen_users(lists: list[Lists], n_users: int = SHOWN_USERS, seed: int = 0) -> list[str]:
    """Users to show: half where the models differ most in whether they found the target.

    The choice looks at no model's name. The rest is drawn at random from the others, so that users
    whom every model fails are there as often as they are.
    """
    shared = set.intersection(*({*one.users} for one in lists))
    users = [user for user in lists[0].users if user in shared]
    found = np.array(
        [[0 < one.ranks[one.users.index(user)] <= SHOWN_ITEMS for user in users] for one in lists]
    )
    share = found.mean(axis=0)
    disagreement = share * (1 - share)
    order = [n for n in np.argsort(-disagreement, kind="stable") if disagreement[n] > 0]
    differing = order[: n_users // 2]
    rest = [n for n in range(len(users)) if n not in differing]
    drawn = np.random.default_rng(seed).permutation(rest)[: n_users - len(differing)]
    return [users[n] for n in [*differing, *drawn]]
