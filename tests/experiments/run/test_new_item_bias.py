"""The bias of new items: the highest that keeps the promise, and that it raises them alone."""

from __future__ import annotations

import pytest
import torch

from recbole_store.experiments.run.new_item_bias import (
    HIGHEST,
    MOST_LOSS,
    RaisesNewItems,
    choose_bias,
)
from recbole_store.experiments.run.ranked_lists import RankedLists, scored_items

N_KNOWN, N_NEW, K = 30, 8, 5


def both_lists(scores: torch.Tensor, targets: torch.Tensor) -> tuple[RankedLists, RankedLists]:
    """Of known items alone and of new ones, which have the last numbers; targets are in both."""
    is_new = torch.arange(scores.size(1)) > N_KNOWN
    users, found = torch.arange(len(scores)), []
    for hidden in (is_new, ~is_new):
        hidden = hidden.repeat(len(scores), 1)
        hidden[users, targets] = False
        items, best = scored_items(scores.masked_fill(hidden, -torch.inf), K + 2)
        found.append(RankedLists(users, targets, items, best))
    return tuple(found)


def hits(scores: torch.Tensor, targets: torch.Tensor, bias: float, gain: float) -> int:
    """Targets in the lists of all items, new ones raised."""
    raised = scores.clone()
    raised[:, N_KNOWN + 1 :] += gain * bias
    return int((raised.topk(K).indices == targets[:, None]).any(1).sum())


@pytest.mark.parametrize("scale", [0.01, 1.0])  # cosines differ by hundredths
@pytest.mark.parametrize("gain", [1.0, 0.7])
@pytest.mark.parametrize("shift", [-2.0, 2.0])  # where new items rank too high, it is below 0
def test_it_is_the_highest_that_keeps_the_promise(scale, gain, shift):
    generator = torch.Generator().manual_seed(1)
    scores = torch.randn(2_000, 1 + N_KNOWN + N_NEW, generator=generator)
    scores[:, N_KNOWN + 1 :] += shift
    scores[:, 0] = -torch.inf
    scores = scores * scale
    targets = torch.randint(1, N_KNOWN + 1, (2_000,), generator=generator)
    before = hits(scores, targets, -1e6, gain)
    bias = choose_bias(*both_lists(scores, targets), K, gain)
    assert (bias < 0) == (shift > 0)
    lost = before - hits(scores, targets, bias, gain)
    assert lost == int(MOST_LOSS * before) > 5
    assert before - hits(scores, targets, bias + 0.2 * scale, gain) > lost


def test_of_few_targets_none_is_lost():
    scores = torch.tensor([[-torch.inf, 3.0, 2.0, *[0.0] * (N_KNOWN - 2), *[1.0] * N_NEW]])
    bias = choose_bias(*both_lists(scores, torch.tensor([2])), K)
    assert hits(scores, torch.tensor([2]), bias, 1.0) == 1
    assert hits(scores, torch.tensor([2]), bias + 0.01, 1.0) == 0


def test_where_nothing_can_be_lost_it_is_as_high_as_may_be():
    scores = torch.zeros(1, 1 + N_KNOWN + N_NEW)
    scores[0, 3] = 1.0
    scores[0, N_KNOWN + 4 :] = -torch.inf  # fewer new items than places
    assert choose_bias(*both_lists(scores, torch.tensor([3])), K) > HIGHEST * 0.9


def test_without_a_target_in_a_list_there_is_nothing_to_lose():
    scores = torch.arange(1.0 + N_KNOWN + N_NEW)[None]
    assert choose_bias(*both_lists(scores, torch.tensor([1])), K) == 0.0


def test_new_items_gain_and_others_do_not():
    class Model(torch.nn.Module):
        def full_sort_predict(self, interaction):
            return torch.zeros(2, 5)

    model = RaisesNewItems(Model(), torch.tensor([2, 4]))
    model.new_item_bias = 1.5
    assert model.full_sort_predict(None).tolist() == [[0, 0, 1.5, 0, 1.5]] * 2
