"""Nearest neighbours: weights of histories, likeness, and what whitening does."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse

from recbole_store.tokenizer.nearest import (
    LAST,
    bags_of_words,
    by_both_totals,
    decayed,
    likeness,
    principal_axes,
    unit_rows,
)


def test_later_items_of_a_history_weigh_more():
    histories = np.array([[4, 7, 0], [2, 2, 1]])
    weights = decayed(histories, np.array([2, 3]), 0.5, 9).toarray()
    assert_allclose(weights[0], [0, 0, 0, 0, 0.5, 0, 0, 1, 0])
    assert_allclose(weights[1], [0, 1, 0.75, 0, 0, 0, 0, 0, 0])  # an item twice counts twice


def test_only_the_last_items_count():
    histories = np.arange(1, LAST + 4)[None]
    weights = decayed(histories, np.array([LAST + 3]), 1.0, LAST + 4).toarray()[0]
    assert_allclose(weights, [0] * 4 + [1] * LAST)


@pytest.mark.parametrize("as_sparse", [False, True])
def test_likeness_is_the_weighted_sum_of_cosines(as_sparse):
    rng = np.random.default_rng(0)
    vectors = unit_rows(rng.normal(size=(6, 4)))
    weights = sparse.csr_matrix(rng.random((3, 6)), dtype=np.float32)
    expected = sum(
        weights.toarray()[:, [i]] * (vectors @ vectors[i])[None] for i in range(len(vectors))
    )
    given = sparse.csr_matrix(vectors) if as_sparse else vectors
    assert_allclose(likeness(weights, given), expected, rtol=1e-5)


def test_words_in_common_make_texts_alike():
    words = bags_of_words(["", "Red circle", "red SQUARE", "blue moon 9"])
    alike = (words @ words.T).toarray()
    assert alike[0].sum() == 0
    assert_allclose(alike.diagonal()[1:], 1, rtol=1e-6)
    assert 0 < alike[1, 2] < 1 and alike[1, 3] == 0


def test_texts_without_a_word_are_like_nothing():
    assert bags_of_words(["", "!?"]).nnz == 0


def test_company_is_divided_by_both_totals():
    counts = sparse.csr_matrix(np.array([[0, 0, 0], [0, 0, 4.0], [0, 4.0, 0]]))
    assert_allclose(by_both_totals(counts).toarray(), [[0, 0, 0], [0, 0, 1], [0, 1, 0]])


def test_principal_axes_take_off_what_all_share_and_even_the_rest():
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(500, 5)) * [10, 3, 1, 0.1, 0] + 100
    mean, axes = principal_axes(vectors, 5)
    assert axes.shape == (4, 5), "a component without variance is none"
    white = (vectors - mean) @ axes.T
    assert_allclose(np.cov(white.T), np.eye(4), atol=0.02)
    assert_allclose(white.mean(0), 0, atol=1e-3)
    assert principal_axes(vectors, 2)[1].shape == (2, 5)
