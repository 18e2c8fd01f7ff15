"""The item head: all items' scores, and lists ranked by both kinds of score."""

from __future__ import annotations

import math

import torch
from torch.testing import assert_close

from recbole_store.generator.beam_search import Beams
from recbole_store.generator.item_head import DenseScores, ItemHead, fuse
from recbole_store.generator.item_vectors import ItemVectors
from recbole_store.generator.reserved_places import reserve_places

NONE_EXCLUDED = torch.zeros(6, dtype=torch.bool)


def vectors_of(own_dropout=0.0) -> ItemVectors:
    torch.manual_seed(0)
    return ItemVectors(6, 4, 5, own_dropout)


def test_hidden_items_are_not_scored():
    head, states, vectors = ItemHead(8, 5), torch.randn(2, 3, 8), torch.randn(6, 5)
    is_excluded = NONE_EXCLUDED.clone()
    is_excluded[[0, 4]] = True
    shown, excluded = head(states, vectors, NONE_EXCLUDED), head(states, vectors, is_excluded)
    assert shown.shape == (2, 3, 6) and shown.isfinite().all()
    assert (excluded[..., [0, 4]] == -torch.inf).all()
    assert_close(excluded[..., [1, 2, 3, 5]], shown[..., [1, 2, 3, 5]])


def test_vectors_are_of_text_and_own():
    vectors, points = vectors_of(), torch.randn(6, 4)
    assert_close(vectors(points), points @ vectors.of_text.weight.T + vectors.own.weight)


def test_likeness_is_the_cosine_and_padding_is_like_nothing():
    vectors, points = vectors_of(), torch.randn(6, 4)
    found = vectors.likeness(points, torch.tensor([3, 0]))
    each = vectors(points)
    expected = torch.nn.functional.cosine_similarity(each[3], each[1:], dim=-1)
    assert_close(found[0, 1:], expected)
    assert found[0, 0] == 0 and not found[1].any()


def test_vectors_of_some_items_are_those_of_all():
    vectors, points = vectors_of(), torch.randn(6, 4)
    some = torch.tensor([[4, 1], [0, 5]])
    assert_close(vectors(points, some), vectors(points)[some])


def test_own_vectors_drop_out_in_training_only():
    vectors, points = vectors_of(own_dropout=0.5), torch.randn(6, 4)
    many = torch.arange(6).repeat(200)
    by_text = vectors.of_text(points)[many]
    dropped = (vectors(points, many) == by_text).all(-1).float().mean()
    assert 0.4 < dropped < 0.6
    vectors.eval()
    assert torch.equal(vectors(points), vectors(points))
    assert not (vectors(points) == vectors.of_text(points)).all(-1).any()


def test_fused_lists_by_hand():
    by_item = DenseScores(torch.tensor([[-9.0, -1.0, -2.0, -0.5, -3.0]]))
    beams = Beams(torch.tensor([[1, 2]]), torch.tensor([[-1.0, -2.0]]), torch.tensor([-3.0]))
    others = Beams(torch.tensor([[3, 1]]), torch.tensor([[-4.0, -1.0]]), torch.tensor([0.0]))
    fused = fuse(beams, others, by_item, weight=0.5)
    assert fused.item_ids.tolist() == [[1, 2]]  # -1, -2, and -2.25 for item 3
    assert_close(fused.log_probs, torch.tensor([[-1.0, -2.0]]))
    assert fuse(beams, others, by_item, weight=0.9).item_ids.tolist() == [[3, 1]]
    # Item 4 has at most -3 by its codes and -1 by the head, as far as the lists tell.
    assert_close(fused.pruned, torch.tensor([-2.0]))
    assert fused.is_exact(2).all()
    likelier = fuse(beams._replace(pruned=torch.tensor([-2.5])), others, by_item, weight=0.5)
    assert likelier.is_exact(1).all() and not likelier.is_exact(2).any()
    free = beams._replace(pruned=torch.tensor([math.inf]))  # which never knows
    assert not fuse(free, others, by_item, weight=0.5).is_exact(1).any()
    assert_close(fuse(free, others, by_item, weight=1.0).pruned, torch.tensor([-1.0]))


def test_hidden_items_and_gaps_stay_out_of_fused_lists():
    by_item = DenseScores(torch.tensor([[-math.inf, -1.0, -math.inf]]))
    beams = Beams(torch.tensor([[1, 0]]), torch.tensor([[-1.0, -math.inf]]), torch.zeros(1))
    others = Beams(torch.tensor([[1, 1]]), torch.tensor([[-1.0, -1.0]]), torch.zeros(1))
    assert fuse(beams, others, by_item, weight=0.5).item_ids.tolist() == [[1, 0]]


def test_every_nth_place_is_kept_for_cold_items():
    def of(*items):
        return Beams(torch.tensor([items]), torch.zeros(1, len(items)), torch.zeros(1))

    assert reserve_places(of(1, 2, 3, 4), of(8, 2, 0, 0), 0.5).item_ids.tolist() == [[1, 8, 2, 3]]
    assert reserve_places(of(1, 2, 3, 4), of(8, 9, 0, 0), 0.5).item_ids.tolist() == [[1, 8, 2, 9]]
    assert reserve_places(of(8, 2, 3, 0), of(8, 0, 0, 0), 0.5).item_ids.tolist() == [[8, 2, 3, 0]]
