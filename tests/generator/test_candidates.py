"""Candidates of repeated histories, folded and unfolded."""

from __future__ import annotations

import pytest
import torch

from recbole_store.generator.candidates import group_candidates


def test_the_worked_example():
    (group,) = group_candidates(torch.tensor([[4], [7], [4]]), 8)
    assert group.rows.tolist() == [0, 2, 1]
    assert group.histories.tolist() == [0, 0, 1]
    assert group.places.tolist() == [0, 1, 0]
    assert group.firsts.tolist() == [0, 1]
    folded = group.fold(torch.tensor([[10], [20], [30]]))
    assert folded.tolist() == [[[10], [30]], [[20], [20]]]  # the gap repeats its history's first


@pytest.mark.parametrize("max_histories", [1, 3, 100])
def test_each_row_gets_what_was_found_for_its_own_history_and_candidate(max_histories):
    generator = torch.Generator().manual_seed(2)
    histories = torch.randint(5, (60, 2), generator=generator)
    candidates = torch.arange(60)[:, None]
    found = torch.full((60,), -1)
    for group in group_candidates(histories, max_histories):
        assert len(group.firsts) <= max_histories
        of_history = histories[group.firsts]
        assert len(of_history.unique(dim=0)) == len(of_history)
        # What a model would find: something of the history and of the candidate.
        scores = of_history.sum(1)[:, None] * 1000 + group.fold(candidates)[..., 0]
        found[group.rows] = group.unfold(scores)
    assert torch.equal(found, histories.sum(1) * 1000 + candidates[:, 0])
