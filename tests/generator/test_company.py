"""Company and likeness of items with histories, by hand."""

from __future__ import annotations

import pytest
import torch
from scipy import sparse

from recbole_store.generator.company import Company, likeness_to_history


def test_company_with_the_last_items_counts_more():
    counts = sparse.csr_matrix([[0, 0, 0, 0], [0, 0, 2.0, 0], [0, 2.0, 0, 1.0], [0, 0, 1.0, 0]])
    found = Company(counts, decay=0.5)(torch.tensor([[1, 3, 0]]), torch.tensor([2]))
    expected = 1 / (1 * 3) ** 0.5 + 0.5 * 2 / (2 * 3) ** 0.5
    assert found[0, 2].item() == pytest.approx(expected, rel=1e-5)
    assert found[0, [0, 1, 3]].abs().sum() == 0, "items 1 and 3 were never together"


def test_likeness_to_a_history_is_the_weighted_sum_of_cosines():
    vectors = torch.nn.functional.normalize(torch.randn(5, 3), dim=-1)
    found = likeness_to_history(vectors, torch.tensor([[4, 2, 0], [3, 0, 0]]), torch.tensor([2, 1]))
    expected = vectors @ (vectors[2] + 0.5 * vectors[4])
    torch.testing.assert_close(found[0], expected)
    torch.testing.assert_close(found[1], vectors @ vectors[3])
