"""Code token ids and training windows."""

from __future__ import annotations

import pytest
import torch

from recbole_store.generator.code_tokens import CodeVocabulary
from recbole_store.generator.windows import make_window, with_targets


def test_each_level_and_code_has_a_token_id_of_its_own():
    vocabulary = CodeVocabulary([64, 64, 32])
    assert int(vocabulary.code_token_ids(torch.tensor([0, 5, 0]))[1]) == 69
    assert (vocabulary.n_levels, len(vocabulary)) == (3, 160)


@pytest.mark.parametrize("sizes", [[5], [4, 4, 4], [3, 7, 2, 9]])
def test_token_ids_round_trip(sizes):
    vocabulary = CodeVocabulary(sizes)
    every = [
        vocabulary.code_token_ids(torch.full((len(sizes),), code))[level].item()
        for level, size in enumerate(sizes)
        for code in range(size)
    ]
    assert every == list(range(len(vocabulary)))
    codes = torch.stack([torch.randint(size, (6, 5)) for size in sizes], dim=-1)
    token_ids = vocabulary.code_token_ids(codes)
    level = torch.bucketize(token_ids, vocabulary.offsets, right=True) - 1
    assert torch.equal(level, torch.arange(len(sizes)).expand_as(level))
    assert torch.equal(token_ids - vocabulary.offsets[level], codes)


def test_window_of_a_worked_example():
    history = torch.tensor([[[1, 2], [3, 4], [9, 9], [9, 9]], [[5, 6], [7, 8], [1, 1], [9, 9]]])
    window = make_window(history, torch.tensor([2, 3]), torch.tensor([[0, 1], [2, 2]]))
    assert window.codes[0, :3].tolist() == [[1, 2], [3, 4], [0, 1]]
    # Nothing is kept behind the longest row's target.
    assert window.codes[1].tolist() == [[5, 6], [7, 8], [1, 1], [2, 2]]
    assert window.n_targets.tolist() == [2, 3]
    assert window.is_target.tolist() == [[True, True, False], [True, True, True]]


def test_targets_stand_behind_their_histories():
    history = torch.tensor([[4, 7, 0, 0], [3, 0, 0, 0]])
    rows = with_targets(history, torch.tensor([2, 1]), torch.tensor([9, 8]))
    assert rows.tolist() == [[4, 7, 9], [3, 8, 0]]


def test_window_leaves_the_history_as_it_was():
    history = torch.arange(12).view(2, 3, 2)
    before = history.clone()
    make_window(history, torch.tensor([1, 3]), torch.tensor([[90, 91], [92, 93]]))
    assert torch.equal(history, before)
