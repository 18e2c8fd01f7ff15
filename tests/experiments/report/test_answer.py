"""A run's sentence: from its own side, whoever stands beside it; alone, against popularity."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from planted_results import Planted

from recbole_store.experiments.ending import answers
from recbole_store.experiments.last_words import answer_on
from recbole_store.experiments.report.answer import counted, sentence
from recbole_store.experiments.results.rank_metrics import per_user
from recbole_store.experiments.results.results_folder import read_runs
from recbole_store.experiments.results.significance import Pair, family_pairs

INTERVAL = r" by 0\.\d{4} \(95% interval 0\.\d{4} to 0\.\d{4}\), paired over 300 users"


@pytest.fixture
def kept(tmp_path):
    """``kept(skills)`` -> runs by label."""

    def make(skill, **changes) -> dict:
        planted = Planted(
            tmp_path, seeds=(2020,), skill=skill, n_users=300, with_examples=False, **changes
        )
        planted.write()
        return {one.label: one for one in read_runs(planted.results)}

    return make


def test_a_sentence_word_by_word():
    pair = Pair("STORE", "SASRecAll", 0.0031, 0.00097, 0.001, 22363, "baselines", 0.002, "ahead")
    assert sentence(pair) == (
        "STORE is ahead of SASRecAll on NDCG@10 by 0.0031 (95% interval 0.0012 to 0.0050), "
        "paired over 22,363 users"
    )


def test_a_loss_is_no_negative_lead_and_holm_says_why():
    pair = Pair("STORE", "BPR", -0.003, 0.0010, 0.003, 9000, "baselines", 0.02, "behind")
    by = "by 0.0030 (95% interval 0.0010 to 0.0050), paired"
    assert sentence(pair).startswith(f"STORE is behind BPR on NDCG@10 {by}")
    pair = replace(pair, p_holm=0.0712, verdict="undecided")
    said = "-0.0030 (95% interval -0.0050 to -0.0010, but p is 0.07 by Holm's correction"
    assert sentence(pair).startswith(f"STORE cannot be told from BPR on NDCG@10: {said}")
    assert "Holm" not in sentence(replace(pair, standard_error=0.01))


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        (["ahead"] * 3, "it is ahead of all 3"),
        (["undecided"] * 2, "it cannot be told from all 2"),
        (["ahead", "behind"], "of all 2 it is ahead of 1 and is behind 1"),
        (
            ["behind", "ahead", "undecided", "ahead"],
            "of all 4 it is ahead of 2, is behind 1 and cannot be told from 1",
        ),
    ],
)
def test_verdicts_are_counted(kinds, said):
    pair = Pair("STORE", "BPR", 0.1, 0.1, 0.1, 9, "baselines", 0.1)
    assert counted([replace(pair, verdict=kind) for kind in kinds]) == said


@pytest.mark.parametrize(
    ("label", "said"),
    [
        (
            "STORE",
            "STORE is behind SASRecAll, the best other model on validation, on NDCG@10 by 0.",
        ),
        ("SASRecAll", "SASRecAll is ahead of STORE on NDCG@10 by 0."),
        ("Pop", "Pop is behind STORE on NDCG@10 by 0."),
    ],
)
def test_a_run_s_own_side(kept, tmp_path, label, said):
    runs = kept({"STORE": 0.5, "SASRecAll": 2.0, "Pop": 0.02})
    own = runs.pop(label)
    found = answer_on(own, tmp_path, list(runs.values()))
    assert found.startswith(said) and re.search(INTERVAL, found)


def test_a_run_alone_is_told_from_the_most_popular_items(kept, tmp_path):
    (own,) = kept({"STORE": 0.9}).values()
    assert answer_on(own, tmp_path, []) is None, "an older run, without the popular items' ranks"
    ranks = own.arrays[f"ranks_{own.own_slice.partition('/')[0]}"]
    worse = np.where(ranks > 0, ranks + 5, 0)
    np.savez(tmp_path / "ranked.npz", ranks_by_popularity=worse)
    difference = (per_user(ranks, "ndcg@10") - per_user(worse, "ndcg@10")).mean()
    said = f"STORE is ahead of the most popular items on NDCG@10 by {difference:.4f} "
    assert answer_on(own, tmp_path, []).startswith(said)
    np.savez(tmp_path / "ranked.npz", ranks_by_popularity=ranks)
    said = answer_on(own, tmp_path, [])
    assert said.startswith("STORE cannot be told from the most popular items on")
    assert "on NDCG@10: +0.0000 (95% interval +0.0000 to +0.0000)" in said


def test_popular_items_are_told_of_beside_others_too(kept, tmp_path):
    runs = kept({"STORE": 0.5, "SASRecAll": 2.0, "Pop": 0.02})
    own, other, pop = (runs[label] for label in ("STORE", "SASRecAll", "Pop"))
    ranks = own.arrays[f"ranks_{own.own_slice.partition('/')[0]}"]
    np.savez(tmp_path / "ranked.npz", ranks_by_popularity=np.where(ranks > 0, ranks + 5, 0))
    said = answer_on(own, tmp_path, [other])
    assert said.startswith("STORE is behind SASRecAll, ")
    assert "users. STORE is ahead of the most popular items on" in said
    assert "most popular" not in answer_on(own, tmp_path, [other, pop]), "Pop says it"


def test_each_data_set_has_its_sentence(kept):
    runs = kept({"STORE": 0.9, "Pop": 0.1})
    (said,) = answers(list(runs.values()))
    (pair,) = family_pairs(list(runs.values()))
    assert said.startswith("STORE is ahead of Pop, the only other model on validation, on NDCG@10")
    assert f"by {pair.difference:.4f} " in said
