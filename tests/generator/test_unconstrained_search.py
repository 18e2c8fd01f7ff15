"""Decoding without the tree: the likeliest code tuples, of which only items stay."""

from __future__ import annotations

import pytest
import torch
from test_beam_search import CLOSE, N_USERS, MadeUpModel, catalogue, every_log_prob
from torch.testing import assert_close

from recbole_store.generator.unconstrained_search import FreeCodes, free_beam_search

SIZES = [4, 5, 3]


def search(n_items: int, num_beams: int):
    codes = catalogue(n_items, SIZES, seed=3)
    model = MadeUpModel(SIZES, N_USERS, seed=1)
    free = FreeCodes(codes, torch.arange(1, n_items + 1), SIZES)
    return free_beam_search(model.step(), free, num_beams), every_log_prob(model, codes)


def test_a_beam_as_wide_as_all_tuples_finds_every_item():
    found, expected = search(20, num_beams=60)
    best, ids = expected.sort(dim=1, descending=True)
    assert torch.equal(found.item_ids[:, :20], ids + 1)
    assert_close(found.log_probs[:, :20], best, **CLOSE)
    assert not found.item_ids[:, 20:].any()


def test_beams_that_are_no_item_leave_gaps_at_the_end():
    found, _ = search(6, num_beams=10)
    n_found = (found.item_ids > 0).sum(1)
    assert n_found.tolist() == [3, 2, 1, 0]  # 6 items among 60 tuples: most beams are none
    for row, n in zip(found.item_ids.tolist(), n_found.tolist(), strict=True):
        assert all(row[:n]) and not any(row[n:])
    assert not found.is_exact(1).any()


def test_tuples_that_cannot_be_numbered_are_refused():
    with pytest.raises(ValueError, match="too many"):
        FreeCodes(torch.zeros(1, 8, dtype=torch.long), torch.ones(1, dtype=torch.long), [256] * 8)
