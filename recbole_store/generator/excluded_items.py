"""Items that some users must not be recommended, such as those of their history."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from recbole_store.generator.code_trie import Children, CodeTrie


class ExcludedItems(NamedTuple):
    """For each of B users, items that leave the tree of items that they may get.

    A prefix is excluded for a user once all items behind it are excluded, so every beam of a search
    leads to an item that the user may get, and K beams to K of them.
    """

    places: Tensor  # int64 [B, S], ascending leaves of the trie; its size is the padding

    @classmethod
    def of(cls, trie: CodeTrie, users: Tensor, item_ids: Tensor, n_users: int) -> ExcludedItems:
        """From pairs of a user (0 to B - 1) and an item_id, each int64 [n_pairs], in any order.

        Items that the trie does not hold are left out.
        """
        leaves, size = trie.leaves_of(item_ids), max(len(trie), 1)
        is_held = leaves >= 0
        # Each pair once: `exclude` counts them.
        keys = (users[is_held] * size + leaves[is_held]).unique()
        users, leaves = keys // size, keys % size
        counts = torch.bincount(users, minlength=n_users)
        starts = counts.cumsum(0) - counts
        most = int(counts.max()) if len(users) else 0
        places = torch.full((n_users, most), len(trie), device=leaves.device)
        places[users, torch.arange(len(users), device=users.device) - starts[users]] = leaves
        return cls(places)

    def exclude(self, trie: CodeTrie, level: int, children: Children, scores: Tensor) -> Tensor:
        """Scores [B, M, F] of the children of prefixes of ``level`` codes, -inf where excluded."""
        if self.places.size(1) == 0:
            return scores
        fan_out = scores.size(-1)
        every = torch.arange(scores[0].numel(), device=scores.device)
        every = every.expand(len(scores), -1)
        _, nodes = children.follow(every // fan_out, every % fan_out)
        first, end = trie.leaves_behind(level + 1, nodes)
        n_excluded = torch.searchsorted(self.places, end) - torch.searchsorted(self.places, first)
        is_excluded = (n_excluded == end - first).view(scores.shape)
        return scores.masked_fill(is_excluded, -torch.inf)

    def select(self, users: Tensor) -> ExcludedItems:
        """Those of some of the users, int64 [B']."""
        return ExcludedItems(self.places[users])


def pairs_of_rows(
    pairs: tuple[Tensor, Tensor] | None, rows: Tensor
) -> tuple[Tensor, Tensor] | None:
    """Of pairs of a row and an item_id, those of some rows, numbered by their place in ``rows``.

    Example: pairs ([0, 0, 2], [5, 7, 9]), rows [2, 0] -> ([0, 1, 1], [9, 5, 7])
    """
    if pairs is None:
        return None
    of_pair, items = pairs
    place_of_row = of_pair.new_full((int(torch.cat([of_pair, rows]).max()) + 1,), -1)
    place_of_row[rows] = torch.arange(len(rows), device=rows.device)
    places = place_of_row[of_pair]
    places, items = places[places >= 0], items[places >= 0]
    order = places.argsort(stable=True)
    return places[order], items[order]
