"""Given candidates for repeated histories, folded to one row a history."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class CandidateGroup(NamedTuple):
    """Rows of a batch that share B histories, with at most M candidates each."""

    rows: Tensor  # int64 [R], rows of the batch
    histories: Tensor  # int64 [R], 0 to B - 1, ascending
    places: Tensor  # int64 [R], 0 to M - 1: which of its history's candidates
    firsts: Tensor  # int64 [B], a row of the batch for each history

    def fold(self, candidates: Tensor) -> Tensor:
        """Candidates' codes of the batch [N, L] -> [B, M, L]; gaps repeat a real candidate."""
        n_places = int(self.places.max()) + 1
        folded = candidates[self.firsts][:, None].repeat(1, n_places, 1)
        folded[self.histories, self.places] = candidates[self.rows]
        return folded

    def unfold(self, found: Tensor) -> Tensor:
        """What was found for each candidate [B, M] -> [R], in the order of ``rows``."""
        return found[self.histories, self.places]


def group_candidates(histories: Tensor, max_histories: int) -> list[CandidateGroup]:
    """Rows with the same history, in groups of at most ``max_histories`` different ones.

    Args:
        histories: [N, T], whatever tells one history from another.

    Example: histories [[4], [7], [4]], max_histories 8 -> one group: rows [0, 2, 1],
    histories [0, 0, 1], places [0, 1, 0], firsts [0, 1]
    """
    _, of_row = torch.unique(histories, dim=0, return_inverse=True)
    order = torch.argsort(of_row, stable=True)
    counts = torch.bincount(of_row)
    groups = []
    for part in order.split(_rows_of_groups(counts, max_histories)):
        of_part = of_row[part] - of_row[part[0]]
        per_history = torch.bincount(of_part)
        starts = per_history.cumsum(0) - per_history
        places = torch.arange(len(part), device=part.device) - starts[of_part]
        groups.append(CandidateGroup(part, of_part, places, part[starts]))
    return groups


def _rows_of_groups(counts: Tensor, max_histories: int) -> list[int]:
    return [int(part.sum()) for part in counts.split(max_histories)]
