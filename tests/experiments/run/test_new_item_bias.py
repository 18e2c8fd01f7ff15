"""The bias of new items: the highest that keeps the promise, and that it raises them alone."""

from __future__ import annotations

import pytest
import torch

from recbole_store.experiments.run.new_item_bias import (
    HIGHEST,
    MOST_LOSS,
    STEPS,
    RaisesNewItems,
    choose_bias,
)


@pytest.mark.parametrize("slope", [0.001, 0.0004, 0.01])
def test_it_is_the_highest_that_keeps_the_promise(slope):
    before = 0.101

    def recall(bias: float) -> float:
        return 0.1 - slope * bias

    bias = choose_bias(recall, before, n_users=10**9)
    assert recall(bias) >= (1 - MOST_LOSS) * before
    finer = HIGHEST / 2**STEPS
    assert recall(bias + finer) < (1 - MOST_LOSS) * before


def test_cosines_need_a_bias_of_their_own_size():
    """Scores that differ by hundredths: a sixtieth of a log-probability would be too much."""
    bias = choose_bias(lambda bias: 0.1 - 0.2 * bias, before=0.1, n_users=10**9)
    assert 0.013 < bias <= 0.015


def test_it_asks_no_more_than_whole_users_can_tell():
    asked = []

    def recall(bias: float) -> float:
        asked.append(bias)
        return (100 - round(bias)) / 1000  # each unit loses one of 1,000 users

    bias = choose_bias(recall, before=0.1, n_users=1000)
    assert round(bias) == 3 and len(asked) < 8


def test_where_joining_alone_costs_too_much_nothing_is_added():
    assert choose_bias(lambda bias: 0.09 - bias, before=0.1, n_users=100) == 0.0


def test_where_nothing_is_lost_it_is_as_high_as_may_be():
    assert choose_bias(lambda bias: 0.1, before=0.1, n_users=2048) > HIGHEST * 0.9


def test_new_items_gain_and_others_do_not():
    class Model(torch.nn.Module):
        def full_sort_predict(self, interaction):
            return torch.zeros(2, 5)

    model = RaisesNewItems(Model(), torch.tensor([2, 4]))
    model.new_item_bias = 1.5
    assert model.full_sort_predict(None).tolist() == [[0, 0, 1.5, 0, 1.5]] * 2
