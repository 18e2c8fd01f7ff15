"""Own vectors of a large catalogue, hashed into a shared table."""

from __future__ import annotations

import torch
from torch.testing import assert_close

from recbole_store.generator import item_vectors
from recbole_store.generator.item_vectors import ItemVectors, hashed_rows
from recbole_store.generator.like_items import like_by_vectors


def hashed(n_items=40, n_shared=7) -> ItemVectors:
    torch.manual_seed(0)
    return ItemVectors(n_items, 4, 5, own_dropout=0.0, n_shared=n_shared)


def test_rows_are_the_same_whenever_they_are_asked_for():
    """SplitMix64's published numbers for the seed 0, however many items there are."""
    rows = hashed_rows(1000, 2**16)
    published = (0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F, 0xF88BB8A8724C81EC)
    assert rows[:2].flatten().tolist() == [number % 2**16 for number in published]
    assert torch.equal(hashed_rows(10, 2**16), rows[:10])
    assert torch.equal(hashed().rows, hashed().rows)


def test_rows_are_taken_evenly_and_hardly_two_items_have_the_same():
    rows = hashed_rows(10**6, 2**16)
    counts = torch.bincount(rows.flatten(), minlength=2**16)
    assert len(counts) == 2**16 and abs(counts.float().std() / (2e6 / 2**16) ** 0.5 - 1) < 0.02
    pairs = rows.long().sort(1).values
    keys = pairs[:, 0] * 2**16 + pairs[:, 1]
    assert len(keys.unique()) > 0.999 * len(keys)


def test_an_own_vector_is_of_two_rows_and_as_long_as_one():
    vectors, points = hashed(), torch.randn(40, 4)
    first, second = vectors.rows[9].tolist()
    own = (vectors.shared.weight[first] + vectors.shared.weight[second]) / 2**0.5
    assert_close(vectors(points)[9], vectors.of_text(points)[9] + own)
    some = torch.tensor([[4, 1], [0, 9]])
    assert_close(vectors(points, some), vectors(points)[some])
    many = ItemVectors(1000, 4, 64, 0.0, n_shared=500).own_vectors()
    assert abs(many.std() / 0.02 - 1) < 0.05


def test_only_the_shared_table_is_trained():
    vectors, points = hashed(), torch.randn(40, 4)
    assert {name for name, _ in vectors.named_parameters()} == {"of_text.weight", "shared.weight"}
    vectors(points, torch.tensor([3])).sum().backward()
    touched = vectors.shared.weight.grad.abs().sum(1).nonzero().squeeze(1)
    assert set(touched.tolist()) == set(vectors.rows[3].tolist())


def test_a_new_item_has_the_rows_of_its_nearest_text_s_item():
    vectors = hashed()
    points = torch.randn(42, 4)
    vectors.grow(2)
    assert torch.equal(vectors.rows, hashed_rows(42, 7))
    points[40], points[41] = 3 * points[5], points[8] + 0.01
    before = vectors.rows.clone()
    new = torch.tensor([40, 41])
    vectors.take_from(new, like_by_vectors(points, new, torch.arange(1, 40)))
    assert torch.equal(vectors.rows[:40], before[:40])
    assert torch.equal(vectors.rows[40:], before[[5, 8]])


def test_likeness_is_the_same_in_blocks(monkeypatch):
    vectors, points = hashed(), torch.randn(40, 4)
    asked = torch.tensor([3, 0, 39])
    whole = vectors.likeness(points, asked)
    monkeypatch.setattr(item_vectors, "_BLOCK", 7)
    assert_close(vectors.likeness(points, asked), whole)
    assert not whole[1].any() and not whole[:, 0].any()
