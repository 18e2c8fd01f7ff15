"""Beams -> the dense scores that RecBole ranks."""

from __future__ import annotations

import pytest
import torch

from recbole_store.generator.beam_search import Beams
from recbole_store.generator.scores import dense_scores

N_ITEMS = 12  # with padding


def ranked_as_recbole_does(scores: torch.Tensor, k: int) -> torch.Tensor:
    scores = scores.clone()
    scores[:, 0] = -torch.inf
    return scores.topk(k, dim=1).indices


@pytest.fixture
def beams() -> Beams:
    item_ids = torch.tensor([[7, 3, 11], [2, 0, 0], [0, 0, 0]])
    log_probs = torch.tensor(
        [[-0.5, -1.25, -9.75], [-3.5, -torch.inf, -torch.inf], [-torch.inf] * 3]
    )
    return Beams(item_ids, log_probs, torch.full((3,), -torch.inf))


def test_generated_items_keep_their_log_probability(beams):
    scores = dense_scores(beams, N_ITEMS)
    assert scores.shape == (3, N_ITEMS)
    assert scores.dtype == torch.float32
    assert scores[0, [7, 3, 11]].tolist() == [-0.5, -1.25, -9.75]
    assert scores[1, 2] == -3.5


def test_scores_are_finite_and_distinct(beams):
    for row in dense_scores(beams, N_ITEMS):
        assert row.isfinite().all()
        assert len(row.unique()) == N_ITEMS


def test_every_other_item_is_below_every_generated_one(beams):
    scores = dense_scores(beams, N_ITEMS)
    for row, item_ids in zip(scores, beams.item_ids, strict=True):
        generated = torch.zeros(N_ITEMS, dtype=torch.bool)
        generated[item_ids[item_ids > 0]] = True
        if generated.any():
            assert row[generated].min() > row[~generated].max()


@pytest.mark.parametrize("k", [1, 3, 10, N_ITEMS - 1])
def test_padding_is_never_recommended(beams, k):
    ranked = ranked_as_recbole_does(dense_scores(beams, N_ITEMS), k)
    assert (ranked > 0).all()
    assert ranked[0, :3].tolist() == [7, 3, 11][:k]
    assert ranked[1, 0] == 2
    assert all(len(set(row)) == k for row in ranked.tolist())


def test_padding_is_last_even_before_recbole_resets_it(beams):
    assert (dense_scores(beams, N_ITEMS).argmin(1) == 0).all()


def test_many_items_stay_distinct_below_a_very_unlikely_one():
    n_items = 100_000
    beams = Beams(torch.tensor([[5, 9]]), torch.tensor([[-0.125, -60.7]]), torch.tensor([-70.0]))
    scores = dense_scores(beams, n_items)
    assert len(scores.unique()) == n_items
    assert ranked_as_recbole_does(scores, 2).tolist() == [[5, 9]]
