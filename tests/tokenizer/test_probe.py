"""The probe: ranks by hand, planted vectors that are right or wrong, and what the log says."""

from __future__ import annotations

import numpy as np
import pytest

from recbole_store.tokenizer.nearest import unit_rows
from recbole_store.tokenizer.probe import Histories, measures, probe, target_ranks, verdict


def test_items_of_the_history_take_no_part():
    vectors = unit_rows(np.array([[0, 0], [1, 0], [1, 0.1], [0, 1], [-1, 0]]))
    histories = Histories(np.array([[1, 0]]), np.array([1]), np.array([2]))
    assert target_ranks(vectors, histories).tolist() == [1]
    assert target_ranks(vectors, histories._replace(targets=np.array([4]))).tolist() == [3]


def test_items_that_are_level_share_their_ranks():
    """Five items of no likeness: the target is neither the first nor the last of them."""
    vectors = np.zeros((7, 2), dtype=np.float32)
    vectors[1] = [1, 0]
    histories = Histories(np.array([[1]]), np.array([1]), np.array([4]))
    assert target_ranks(vectors, histories).tolist() == [3]


def test_measures_by_hand():
    assert measures(np.array([1, 3, 30, 10])) == {
        "recall@10": 0.75,
        "ndcg@10": pytest.approx((1 + 1 / 2 + 1 / np.log2(11)) / 4),
    }
    assert measures(np.zeros(0)) == {}


@pytest.fixture
def planted():
    """Texts name an item's kind; users stay with a kind. 40 items of 4 kinds, the last 20 rare."""
    kinds = np.arange(41) % 4
    texts = ["", *(f"kind{kind}" for kind in kinds[1:])]
    rng = np.random.default_rng(0)
    targets = rng.integers(1, 41, 200)
    seq = np.array([rng.choice(np.flatnonzero(kinds == kinds[t])[1:], 2) for t in targets])
    seq[seq == targets[:, None]] = 0
    lengths = np.full(200, 2)
    is_tail, known = np.arange(41) > 20, np.arange(41) > 0
    return np.eye(4)[kinds], texts, Histories(seq, lengths, targets), is_tail, known


def test_good_vectors_are_told_from_noise(planted):
    right, texts, histories, is_tail, known = planted
    noise = np.random.default_rng(1).normal(size=(41, 4))
    report = probe({"right": right, "noise": noise}, texts, histories, is_tail, known)
    found = {name: parts["all"]["recall@10"] for name, parts in report.items()}
    assert found["right"] == found["words"] > 0.9
    assert found["noise"] < 0.5
    assert report["right"]["tail"]["recall@10"] > 0.9
    assert not any("bag of words finds more" in line for line in verdict(report))


def test_a_tokenizer_that_loses_to_words_says_so(planted):
    _, texts, histories, is_tail, known = planted
    noise = np.random.default_rng(1).normal(size=(41, 4))
    report = probe({"points": noise}, texts, histories, is_tail, known)
    assert any("bag of words finds more" in line for line in verdict(report))


def test_a_large_part_that_all_items_share_hides_nothing(planted):
    right, texts, histories, is_tail, known = planted
    shifted = probe({"right": right + 1000}, texts, histories, is_tail, known)
    assert shifted == probe({"right": right}, texts, histories, is_tail, known)


def test_cold_items_are_no_neighbours(planted):
    right, texts, histories, is_tail, known = planted
    others = right.copy()
    others[40] = 1e6  # unknown, and like everything
    known = known & (np.arange(41) != 40)
    assert probe({"a": others}, texts, histories, is_tail, known) == probe(
        {"a": right}, texts, histories, is_tail, known
    )
