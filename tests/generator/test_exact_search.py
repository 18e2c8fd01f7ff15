"""Exact search against scoring every item, ties included."""

from __future__ import annotations

import pytest
import torch
from test_beam_search import CLOSE, N_USERS, MadeUpModel, catalogue, every_log_prob
from torch.testing import assert_close

from recbole_store.generator import code_trie
from recbole_store.generator.beam_search import beam_search, path_log_probs
from recbole_store.generator.code_trie import CodeTrie
from recbole_store.generator.exact_search import exact_search


@pytest.fixture(params=["lists", "tables"])
def form(request, monkeypatch):
    """Children of a trie come in two forms, with the same meaning."""
    monkeypatch.setattr(code_trie, "TABLE_BYTES", 0 if request.param == "lists" else 10**6)


class Coarse(MadeUpModel):
    """Logits of three values only, so that many items are exactly as likely as others."""

    def logits(self, user, prefix):
        return [float(round(logit / 2)) for logit in super().logits(user, prefix)]


class Uniform(MadeUpModel):
    """Every code is as likely as any other."""

    def logits(self, user, prefix):
        return [0.0] * self.sizes[len(prefix)]


def ranked(log_probs: torch.Tensor, item_ids: torch.Tensor, k: int):
    """The k likeliest, equal ones by item_id, for one user."""
    pairs = sorted(zip((-log_probs).tolist(), item_ids.tolist(), strict=True))[:k]
    return [item for _, item in pairs], [-score for score, _ in pairs]


@pytest.mark.parametrize("num_beams", [1, 3, 10])
@pytest.mark.parametrize("sizes", [[6, 6, 6], [20, 9], [40], [3, 4, 3, 5]])
@pytest.mark.parametrize("make", [MadeUpModel, Coarse, Uniform])
def test_equals_scoring_every_item(make, sizes, num_beams, form):
    codes = catalogue(38, sizes, seed=2)
    item_ids = 100 - torch.arange(38)
    trie = CodeTrie(codes, item_ids)
    model = make(sizes, N_USERS, seed=4)
    for k in (1, 5, 38):
        beams = exact_search(model.step(), trie, num_beams, k)
        # By the same route, so that equal items are equal to the last bit.
        every = path_log_probs(model.step(), codes.expand(N_USERS, -1, -1))
        assert_close(every, every_log_prob(model, codes), **CLOSE)
        assert beams.is_exact(k).all()
        for user in range(N_USERS):
            expected_ids, expected = ranked(every[user], item_ids, k)
            assert_close(beams.log_probs[user], torch.tensor(expected), **CLOSE)
            if make is MadeUpModel:
                assert beams.item_ids[user].tolist() == expected_ids
            else:  # sums of another order of terms may break a tie in the last bit
                assert_same_but_for_ties(beams.item_ids[user].tolist(), every[user], item_ids, k)


def assert_same_but_for_ties(found: list[int], log_probs, item_ids, k: int) -> None:
    of_item = dict(zip(item_ids.tolist(), log_probs.tolist(), strict=True))
    expected, scores = ranked(log_probs, item_ids, k)
    assert len(set(found)) == k
    assert [of_item[item] for item in found] == pytest.approx(scores, abs=1e-5)


def test_equal_items_come_by_item_id():
    """Under a uniform model every item ties: the lowest ids win, whatever their codes."""
    codes = catalogue(27, [3, 3, 3], seed=1)
    item_ids = torch.randperm(1000, generator=torch.Generator().manual_seed(3))[:27] + 1
    model = Uniform([3, 3, 3], N_USERS, seed=0)
    found = exact_search(model.step(), CodeTrie(codes, item_ids), 4, 6).item_ids
    assert found.tolist() == [sorted(item_ids.tolist())[:6]] * N_USERS


def test_finds_what_beam_search_misses():
    codes = catalogue(60, [6, 6, 6], seed=0)
    trie = CodeTrie(codes, torch.arange(60) + 1)
    n_better = 0
    for seed in range(10):
        model = MadeUpModel([6, 6, 6], N_USERS, seed)
        plain = beam_search(model.step(), trie, 4)
        exact = exact_search(model.step(), trie, 4, 4)
        assert (exact.log_probs >= plain.log_probs - 1e-5).all()
        n_better += int((exact.item_ids != plain.item_ids).any(1).sum())
    assert n_better > 5


def test_costs_beam_search_where_that_was_exact():
    """A user who is sure asks no more queries, also while others go on."""
    codes = catalogue(60, [6, 6, 6], seed=0)
    trie = CodeTrie(codes, torch.arange(60) + 1)
    for seed in range(10):
        model = MadeUpModel([6, 6, 6], N_USERS, seed)
        plain, exact = model.step(), model.step()
        sure = beam_search(plain, trie, 4).is_exact(2)
        exact_search(exact, trie, 4, 2)
        if sure.all():
            assert exact.n_queries == plain.n_queries
        else:
            assert exact.n_queries > plain.n_queries
            assert not set(exact.users) & set(sure.nonzero().squeeze(1).tolist())


def test_more_than_there_are_items():
    codes = catalogue(n_items=3)
    model = MadeUpModel([3, 7, 2], N_USERS, seed=1)
    beams = exact_search(model.step(), CodeTrie(codes, torch.tensor([4, 8, 6])), 5, 6)
    assert [sorted(row) for row in beams.item_ids[:, :3].tolist()] == [[4, 6, 8]] * N_USERS
    assert (beams.item_ids[:, 3:] == 0).all()
    assert (beams.log_probs[:, 3:] == -torch.inf).all()
