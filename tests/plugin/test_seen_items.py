"""The softmax of training without the items of the history."""

from __future__ import annotations

import torch

from recbole_store.tokenizer.text_tower import without_seen


def test_what_stands_before_a_target_goes_and_the_target_stays():
    items = torch.tensor([[3, 5, 3, 4], [2, 1, 0, 0]])  # the first row's third item is its first
    is_target = torch.tensor([[True, True, True], [True, False, False]])
    left = without_seen(torch.zeros(4, 6), items, is_target).isfinite()
    gone = [set((~row).nonzero().flatten().tolist()) for row in left]
    assert gone == [{0, 3}, {0, 5}, {0, 3, 5}, {0, 2}]


def test_what_is_no_target_has_no_logits():
    items = torch.tensor([[3, 5, 3, 4]])
    is_target = torch.tensor([[False, False, True]])
    left = without_seen(torch.zeros(1, 6), items, is_target).isfinite()
    assert left.tolist() == [[False, True, True, False, True, False]]
