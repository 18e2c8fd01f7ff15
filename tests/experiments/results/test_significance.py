"""Paired tests, by hand, against scipy, and on planted ranks."""

from __future__ import annotations

import numpy as np
import pytest
from planted_runs import planted_ranked, planted_result
from scipy import stats

from recbole_store.errors import SettingsError
from recbole_store.experiments.results.groups import comparable_groups
from recbole_store.experiments.results.kept_run import KeptRun, condense
from recbole_store.experiments.results.significance import (
    PAIR_COLUMNS,
    Pair,
    family_pairs,
    holm,
    mean_over_seeds,
    pair_rows,
    paired_difference,
    pairs,
    reference,
    verdict,
)


def kept(model, ranks, filtered=None, users=None, **changes) -> KeptRun:
    arrays = condense(planted_ranked(ranks, filtered, users))
    return KeptRun(planted_result(ranks, filtered, model=model, **changes), arrays)


GOOD, BAD = [1, 2, 1, 1, 3, 1, 2, 1] * 5, [9, 0, 7, 0, 8, 9, 0, 6] * 5


def test_paired_difference_by_hand():
    # Differences 1, 0, 0, 1: mean 0.5, s = 0.57735, standard error 0.288675, t = 1.7320 with 3 df.
    mean, error, p = paired_difference([1, 0, 1, 1], [0, 0, 1, 0])
    assert (mean, error) == (0.5, pytest.approx(0.288675, abs=1e-6))
    assert p == pytest.approx(0.18169, abs=1e-4)


def test_paired_difference_is_scipy_s_paired_t_test():
    a, b = np.random.default_rng(1).random((2, 50))
    theirs = stats.ttest_rel(a, b)
    mean, error, p = paired_difference(a, b)
    assert (mean / error, p) == (pytest.approx(theirs.statistic), pytest.approx(theirs.pvalue))


def test_users_without_any_spread():
    assert paired_difference([1, 0], [1, 0]) == (0.0, 0.0, 1.0)
    assert paired_difference([1, 1], [0, 0]) == (1.0, 0.0, 0.0)
    with pytest.raises(SettingsError, match="at least two test users, not 1"):
        paired_difference([1], [0])


@pytest.mark.parametrize(
    ("p", "corrected"),
    [
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),
        ([0.5, 0.9], [1.0, 1.0]),
        ([0.2], [0.2]),
        ([], []),
        ([0.01, 0.01], [0.02, 0.02]),
    ],
)
def test_holm(p, corrected):
    assert holm(p) == pytest.approx(corrected)


@pytest.mark.parametrize(
    ("difference", "p_holm", "said"),
    [(0.03, 0.01, "ahead"), (-0.03, 0.01, "behind"), (0.03, 0.05, "undecided")],
)
def test_a_verdict_tells_losses_as_it_tells_wins(difference, p_holm, said):
    assert verdict(difference, p_holm) == said


def test_the_interval_is_the_one_of_the_paired_t_test():
    a, b = np.random.default_rng(1).random((2, 50))
    mean, error, p = paired_difference(a, b)
    pair = Pair("A", "B", mean, error, p, 50)
    theirs = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert (pair.low, pair.high) == (pytest.approx(theirs.low), pytest.approx(theirs.high))
    assert (p < 0.05) == (pair.low > 0 or pair.high < 0)


@pytest.mark.parametrize(
    ("labels", "first"),
    [
        (["A:x", "STORE:y", "STORE"], "STORE"),
        (["A:x", "STORE:y", "STORE:z"], "STORE:y"),
        (["A:x", "B", "A"], "A"),
        (["A:x", "A:y", "B"], "A:x"),
    ],
)
def test_the_reference_is_chosen_by_name_and_validation(labels, first):
    assert reference(labels) == first


def test_planted_pairs():
    """One far better model, and one that is the better one but for two users."""
    nearly = [2, 1, *GOOD[2:]]
    runs = [kept("STORE", GOOD), kept("Nearly", nearly), kept("Bad", BAD)]
    found = {(p.a, p.b): p for p in pairs(runs, "unfiltered/all")}
    assert set(found) == {("STORE", "Nearly"), ("STORE", "Bad"), ("Nearly", "Bad")}
    near, bad, other = found.values()
    assert (near.verdict, near.difference) == ("undecided", 0)
    assert (bad.verdict, bad.n_users) == ("ahead", len(GOOD))
    assert (other.family, other.verdict, other.p_holm) == ("", "", None), "of no family"
    expected = np.mean([1 / np.log2(r + 1) for r in GOOD])
    expected -= np.mean([1 / np.log2(r + 1) if r else 0 for r in BAD])
    assert bad.difference == pytest.approx(expected)


def test_a_loss_is_a_loss():
    (pair,) = pairs([kept("STORE", BAD), kept("Good", GOOD)], "unfiltered/all")
    assert (pair.a, pair.verdict) == ("STORE", "behind") and pair.high < 0


def test_holm_is_of_a_family():
    """Other models are one family, the own variants another, and the rest none."""
    nearly = [9, *GOOD[1:]]
    runs = [kept("STORE", GOOD), kept("STORE", nearly, variant="x"), kept("A", nearly)]
    runs += [kept("STORE", nearly, variant="y"), kept("B", nearly)]
    found = pairs(runs, "unfiltered/all")
    assert [(p.family, p.b) for p in found if p.family] == [
        *(("baselines", "A"), ("baselines", "B")),
        *(("variants", "STORE:x"), ("variants", "STORE:y")),
    ]
    assert len(found) == 10 and {p.a for p in found if p.family} == {"STORE"}
    assert all(p.p_holm == pytest.approx(min(1, 2 * p.p)) for p in found if p.family)


def rising(score_at_end) -> dict:
    curve = [{"epoch": n, "valid_score": x} for n, x in enumerate([0.1, 0.3, score_at_end])]
    return {"converged": False, "curve": curve}


@pytest.mark.parametrize(("end", "marked"), [(0.4, True), (0.3, True), (0.2, False)])
@pytest.mark.parametrize("model", ["STORE", "Pop"])
def test_what_was_still_rising_is_marked_on_either_side_and_judged_alike(end, marked, model):
    runs = [
        kept(name, ranks, **(rising(end) if name == model else {}))
        for name, ranks in (("STORE", GOOD), ("Pop", BAD))
    ]
    (pair,) = family_pairs(runs)
    assert pair.verdict == "ahead"
    assert pair.still_rising == ((model,) if marked else ())


def test_seeds_are_averaged_user_by_user():
    runs = [kept("Pop", [1, 0], seed=1), kept("Pop", [0, 0], seed=2)]
    assert mean_over_seeds(runs, "unfiltered/all", "ndcg@10").tolist() == [0.5, 0.0]


def test_pairs_are_of_common_seeds():
    """Seed 2, which only A has, would make A the better one of each user."""
    runs = [
        kept("A", [1, 0, 0], seed=1),
        kept("A", [1, 1, 1], seed=2),
        kept("B", [1, 0, 0], seed=1),
    ]
    (pair,) = pairs(runs, "unfiltered/all")
    assert (pair.difference, pair.verdict) == (0, "undecided")
    runs[2] = kept("B", [1, 0, 0], seed=3)
    (pair,) = pairs(runs, "unfiltered/all")
    assert pair.difference == pytest.approx(1 / 3), "no common seed: all of them"


def test_other_data_are_not_compared():
    """Another number of a model's code is: each model counts its own."""
    runs = [kept("A", GOOD, data_sha256={"a.item": digest}) for digest in ("1", "1", "2")]
    runs += [kept("B", GOOD, data_sha256={"a.item": "1"}, result_version=2)]
    assert [len(group) for group in comparable_groups(runs)] == [3, 1]
    assert list(pair_rows([runs[0], runs[2]])) == []


def test_the_filter_decides_the_ranks():
    run = kept("Pop", [2, 0], filtered=[1, 1])
    assert mean_over_seeds([run], "filtered/all", "recall@1").tolist() == [1, 1]
    assert mean_over_seeds([run], "unfiltered/all", "recall@1").tolist() == [0, 0]


def test_other_users_are_refused():
    others = kept("Bad", BAD, users=[f"x{n}" for n in range(len(BAD))])
    with pytest.raises(
        SettingsError, match="Good on planted, seed 2020 and Bad .* cannot be paire"
    ):
        pairs([kept("Good", GOOD), others], "unfiltered/all")


def test_other_targets_are_other_users():
    ranks = GOOD[:5]
    digests = {
        str(condense(planted_ranked(ranks, targets=targets))["users_digest"])
        for targets in ([1, 2, 3, 4, 5], [1, 2, 3, 5, 4])
    }
    assert len(digests) == 2


def test_a_run_without_ranks_is_not_paired():
    bare = KeptRun(planted_result(BAD, model="Bare"), None)
    assert pairs([kept("Good", GOOD), bare], "unfiltered/all") == []


def test_a_single_test_user_pairs_nothing():
    assert pairs([kept("Good", [1]), kept("Bad", [0])], "unfiltered/all") == []


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"protocol": {"n_users": 8, "max_item_list_length": 20}}, True),
        ({"valid_metric": "ndcg@10"}, True),
        ({"dataset": "ml-1m"}, False),
        ({"valid_metric": "MRR@10"}, False),
        ({"protocol": {"n_users": 7, "max_item_list_length": 50}}, False),
        ({"protocol": {"n_users": 8, "filter_history": True}}, False),
        ({"hashed_settings": {"cold_items": 0.05}}, False),
    ],
)
def test_results_are_compared_under_one_protocol_only(changes, same):
    one = planted_result(GOOD, protocol={"n_users": 8, "max_item_list_length": 50})
    groups = comparable_groups([KeptRun(one, None), KeptRun(one | changes, None)])
    assert len(groups) == (1 if same else 2)


def test_rows_of_pairs_csv():
    strangers = [f"x{n}" for n in range(len(GOOD))]
    runs = [kept("STORE", GOOD), kept("Bad", BAD), kept("Else", BAD, users=strangers)]
    rows = [dict(zip(PAIR_COLUMNS, row, strict=True)) for row in pair_rows(runs)]
    assert [(row["slice"], row["metric"], row["a"], row["b"]) for row in rows] == [
        (f"{name}/all", f"{metric}@10", "STORE", "Bad")
        for name in ("unfiltered", "filtered")
        for metric in ("ndcg", "recall", "mrr")
    ]
    for row in rows:
        assert float(row["low"]) < float(row["difference"]) < float(row["high"])
        assert row["family"] == "baselines" and row["still_rising"] == ""
    assert {row["verdict"] for row in rows if row["metric"] != "recall@10"} == {"ahead"}
