"""A few users and items of a run, to look at: ``<stem>.examples.npz``, a few kilobytes.

All by raw ids, so that it can be read where the data do not lie: whoever has the data has the
titles too.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recbole_store.errors import SettingsError
from recbole_store.experiments.results.kept_run import FILTERS, read_arrays

LISTED = 10  # items of a user's list
MOST_ITEMS = 400  # with their codes: whole branches of the tree


@dataclass(frozen=True, eq=False)
class Examples:
    """E users with what they were recommended, and N items with their semantic IDs.

    Attributes:
        histories: str [E, H] raw ids, oldest first; "" before the first.
        targets: str [E], what came next.
        lists: str [E, LISTED], best first, under the run's own history filter; "" for none.
        ranks: int [E] of the targets; 0: not found.
        items, codes: str [N], int [N, L]; N is 0 for a model without semantic IDs.
    """

    users: np.ndarray
    histories: np.ndarray
    targets: np.ndarray
    lists: np.ndarray
    ranks: np.ndarray
    items: np.ndarray
    codes: np.ndarray


_KINDS = {"users": "U", "histories": "U", "targets": "U", "lists": "U", "ranks": "iu"}
_KINDS |= {"items": "U", "codes": "iu"}
_OF_ITEMS, _WIDE = ("items", "codes"), ("histories", "lists", "codes")


def examples_path(result_path: Path) -> Path:
    """Example: Beauty/Pop-seed2020.json -> Beauty/Pop-seed2020.examples.npz"""
    return result_path.with_suffix(".examples.npz")


def condense_examples(run_dir: Path, is_filtered: bool) -> dict[str, np.ndarray] | None:
    """The arrays of :class:`Examples` from a run's folder; None where it has no example users."""
    if not all((run_dir / name).is_file() for name in ("ranked.npz", "histories.npz")):
        return None
    ranked, chosen = (read_arrays(run_dir / name) for name in ("ranked.npz", "histories.npz"))
    row_of = {str(user): row for row, user in enumerate(ranked["users"])}
    tested = [n for n, user in enumerate(chosen["users"]) if str(user) in row_of]
    rows = [row_of[str(chosen["users"][n])] for n in tested]
    raw_ids = np.array(["", *ranked["raw_ids"][1:]])  # no text for padding
    own = FILTERS[is_filtered]
    found = {
        "users": chosen["users"][tested],
        "histories": raw_ids[chosen["histories"][tested]],
        "targets": raw_ids[ranked["targets"][rows]],
        "lists": raw_ids[ranked[f"items_{own}"][rows, :LISTED]],
        "ranks": ranked[f"ranks_{own}"][rows],
        "items": np.array([], dtype=str),
        "codes": np.zeros((0, 1), dtype=np.int32),
    }
    if (run_dir / "items.npz").is_file():
        items = read_arrays(run_dir / "items.npz")
        shown = whole_branches(items["semantic_ids"])
        found |= {"items": items["raw_ids"][shown], "codes": items["semantic_ids"][shown]}
    return found


def whole_branches(semantic_ids: np.ndarray, most: int = MOST_ITEMS, seed: int = 0) -> np.ndarray:
    """Rows of the items under some first codes, drawn at random, in the order of their codes.

    Args:
        semantic_ids: int [N, L].

    Example: first codes [7, 3, 7, 5], most 3 -> the rows of 7 and of one other code
    """
    first = semantic_ids[:, 0]
    codes, sizes = np.unique(first, return_counts=True)
    drawn = np.random.default_rng(seed).permutation(len(codes))
    fitting = drawn[: max(1, int((np.cumsum(sizes[drawn]) <= most).sum()))]
    rows = np.flatnonzero(np.isin(first, codes[fitting]))[:most]
    return rows[np.lexsort(semantic_ids[rows].T[::-1])]


def read_examples(path: Path) -> Examples | None:
    """What a file holds; None where there is none.

    Raises:
        SettingsError: it cannot be read, or its arrays do not belong together.
    """
    if not path.is_file():
        return None
    arrays = read_arrays(path, set(_KINDS))
    for name, kinds in _KINDS.items():
        values, n = arrays[name], len(arrays["items" if name in _OF_ITEMS else "users"])
        if values.dtype.kind not in kinds or values.ndim != 1 + (name in _WIDE) or len(values) != n:
            raise SettingsError(f"{path}: `{name}` is not what it should be. Run that model again.")
    return Examples(**{name: arrays[name] for name in _KINDS})
