"""The item head: all items' scores, and lists ranked by both kinds of score."""

from __future__ import annotations

import math

import torch
from torch.testing import assert_close

from recbole_store.generator.beam_search import Beams
from recbole_store.generator.item_head import ItemHead, fuse
from recbole_store.generator.reserved_places import reserve_places


def head(own_dropout=0.0, cold=()) -> ItemHead:
    torch.manual_seed(0)
    return ItemHead(6, 4, 8, 5, own_dropout, torch.tensor(cold, dtype=torch.long))


def test_padding_and_cold_items_are_not_scored():
    points, states = torch.randn(6, 4), torch.randn(2, 3, 8)
    shown = head(cold=[4])(states, points, hide_cold=False)
    hidden = head(cold=[4])(states, points, hide_cold=True)
    assert shown.shape == (2, 3, 6)
    assert (shown[..., 0] == -torch.inf).all() and shown[..., 1:].isfinite().all()
    assert (hidden[..., [0, 4]] == -torch.inf).all()
    assert_close(hidden[..., [1, 2, 3, 5]], shown[..., [1, 2, 3, 5]])


def test_a_cold_item_is_scored_by_its_text_alone():
    model, states = head(cold=[4]), torch.randn(3, 8)
    points = torch.randn(6, 4)
    before = model(states, points, hide_cold=False)
    with torch.no_grad():
        model.own.weight[4] += 9.0
    assert_close(model(states, points, hide_cold=False), before)
    assert not torch.allclose(head()(states, points, hide_cold=False)[:, 4], before[:, 4])


def test_own_vectors_drop_out_in_training_only():
    model, states, points = head(own_dropout=0.5), torch.randn(3, 8), torch.randn(6, 4)
    first = model(states, points, hide_cold=False)
    assert not torch.equal(first, model(states, points, hide_cold=False))
    model.eval()
    assert torch.equal(*(model(states, points, hide_cold=False) for _ in range(2)))


def test_fused_lists_by_hand():
    by_item = torch.tensor([[-9.0, -1.0, -2.0, -0.5, -3.0]])
    beams = Beams(torch.tensor([[1, 2]]), torch.tensor([[-1.0, -2.0]]), torch.tensor([-3.0]))
    others = Beams(torch.tensor([[3, 1]]), torch.tensor([[-4.0, -1.0]]), torch.tensor([0.0]))
    fused = fuse(beams, others, by_item, weight=0.5)
    assert fused.item_ids.tolist() == [[1, 2]]  # -1, -2, and -2.25 for item 3
    assert_close(fused.log_probs, torch.tensor([[-1.0, -2.0]]))
    assert fuse(beams, others, by_item, weight=0.9).item_ids.tolist() == [[3, 1]]
    assert not fused.is_exact(1).any()


def test_hidden_items_and_gaps_stay_out_of_fused_lists():
    by_item = torch.tensor([[-math.inf, -1.0, -math.inf]])
    beams = Beams(torch.tensor([[1, 0]]), torch.tensor([[-1.0, -math.inf]]), torch.zeros(1))
    others = Beams(torch.tensor([[1, 1]]), torch.tensor([[-1.0, -1.0]]), torch.zeros(1))
    assert fuse(beams, others, by_item, weight=0.5).item_ids.tolist() == [[1, 0]]


def test_every_nth_place_is_kept_for_cold_items():
    def of(*items):
        return Beams(torch.tensor([items]), torch.zeros(1, len(items)), torch.zeros(1))

    assert reserve_places(of(1, 2, 3, 4), of(8, 2, 0, 0), 0.5).item_ids.tolist() == [[1, 8, 2, 3]]
    assert reserve_places(of(1, 2, 3, 4), of(8, 9, 0, 0), 0.5).item_ids.tolist() == [[1, 8, 2, 9]]
    assert reserve_places(of(8, 2, 3, 0), of(8, 0, 0, 0), 0.5).item_ids.tolist() == [[8, 2, 3, 0]]
