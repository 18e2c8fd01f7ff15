"""What new items take from those with like texts, by hand."""

from __future__ import annotations

import pytest
import torch
from scipy import sparse
from torch.testing import assert_close

from recbole_store.generator import like_items
from recbole_store.generator.company import Company
from recbole_store.generator.like_items import (
    LikeItems,
    like_by_vectors,
    like_by_words,
    take_vectors,
)

# By angle item 4 is nearest to 3 and 2, item 5 to 1 and 2.
POINTS = torch.tensor([[0, 0], [0, 1], [9, 1], [1, 0], [2, 0.01], [0.2, 5]])
NEW, KNOWN = torch.tensor([4, 5]), torch.tensor([1, 2, 3])


@pytest.mark.parametrize("chunk", [1, 10**6])
@pytest.mark.parametrize("by_words", [True, False])
def test_the_nearest_come_first(monkeypatch, chunk, by_words):
    monkeypatch.setattr(like_items, "NEIGHBOURS", 2)
    monkeypatch.setattr(like_items, "_CHUNK", chunk)
    unit = torch.nn.functional.normalize(POINTS, dim=-1)
    if by_words:
        found = like_by_words(sparse.csr_matrix(unit.numpy()), NEW, KNOWN)
    else:
        found = like_by_vectors(POINTS, NEW, KNOWN)
    assert found.item_ids.tolist() == [[3, 2], [1, 2]]
    assert_close(found.cosines, (unit[NEW][:, None] * unit[found.item_ids]).sum(-1))


def test_a_new_item_has_fewer_neighbours_where_fewer_are_known():
    assert like_by_vectors(POINTS, NEW, KNOWN[:1]).item_ids.tolist() == [[1], [1]]


def test_a_vector_is_the_neighbours_direction_at_their_length():
    vectors = torch.zeros(6, 5)
    vectors[1:] = torch.eye(5) * torch.arange(1, 6)[:, None]
    before, like = vectors.clone(), LikeItems(torch.tensor([[3, 2], [1, 2]]), torch.ones(2, 2))
    take_vectors(vectors, NEW, like)
    assert torch.equal(vectors[:4], before[:4])
    assert_close(vectors[4], torch.tensor([0, 2, 3, 0, 0]) / 13**0.5 * 2.5)
    assert_close(vectors[5], torch.tensor([1, 2, 0, 0, 0]) / 5**0.5 * 1.5)


def test_nearer_ones_count_more_if_asked_to():
    vectors = torch.eye(6)
    like = LikeItems(torch.tensor([[1, 2]]), torch.tensor([[1.0, 0.5]]))
    take_vectors(vectors, torch.tensor([4]), like, sharpness=4.0)
    assert_close(vectors[4, 2] / vectors[4, 1], torch.tensor(1 / 16))


def test_company_is_the_mean_of_theirs_in_rows_and_columns():
    counts = torch.zeros(6, 6)
    for first, second, times in ((1, 3, 4.0), (2, 3, 2.0), (1, 2, 1.0)):
        counts[first, second] = counts[second, first] = times
    company = Company(sparse.csr_matrix(counts.numpy()))
    before = torch.from_numpy(company.together.toarray())
    company.take_from(torch.tensor([5]), LikeItems(torch.tensor([[1, 2]]), torch.ones(1, 2)))
    after = torch.from_numpy(company.together.toarray())
    assert_close(after[:5, :5], before[:5, :5])
    assert_close(after[5, :5], before[: 2 + 1][1:, :5].mean(0))
    assert_close(after[:5, 5], after[5, :5])
    assert_close(after[5, 5], before[1, 2] / 2)  # two of its kind, as 1 and 2 are to each other
    scores = company(torch.tensor([[3]]), torch.tensor([1]))
    assert_close(scores[0, 5], (scores[0, 1] + scores[0, 2]) / 2)
