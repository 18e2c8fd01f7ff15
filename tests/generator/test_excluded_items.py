"""Items that a user must not get leave the search, and others take their places."""

from __future__ import annotations

import pytest
import torch
from test_beam_search import CLOSE, N_USERS, MadeUpModel, catalogue, every_log_prob
from torch.testing import assert_close

from recbole_store.generator import code_trie
from recbole_store.generator.beam_search import beam_search
from recbole_store.generator.code_trie import CodeTrie
from recbole_store.generator.exact_search import exact_search
from recbole_store.generator.excluded_items import ExcludedItems

SIZES = [4, 5, 3]
N_ITEMS = 38


@pytest.fixture(params=["lists", "tables"])
def trie(request, monkeypatch):
    monkeypatch.setattr(code_trie, "TABLE_BYTES", 0 if request.param == "lists" else 10**6)
    return CodeTrie(catalogue(N_ITEMS, SIZES, seed=3), torch.arange(1, N_ITEMS + 1))


def pairs(share: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Users and excluded items, in no order, some twice; user 0 has none."""
    rng = torch.Generator().manual_seed(5)
    chosen = torch.rand(N_USERS, N_ITEMS, generator=rng) < share
    chosen[0] = False
    users, places = chosen.nonzero(as_tuple=True)
    order = torch.randperm(len(users), generator=rng)
    order = torch.cat([order, order[::3]])
    return users[order], places[order] + 1


@pytest.mark.parametrize("share", [0.1, 0.6, 0.95])
def test_wide_and_exact_search_rank_what_is_left(trie, share):
    codes = catalogue(N_ITEMS, SIZES, seed=3)
    model = MadeUpModel(SIZES, N_USERS, seed=1)
    users, items = pairs(share)
    excluded = ExcludedItems.of(trie, users, items, N_USERS)
    expected = every_log_prob(model, codes)
    expected[users, items - 1] = -torch.inf
    best, ids = expected.sort(dim=1, descending=True)
    ids = (ids + 1).masked_fill(best == -torch.inf, 0)
    wide = beam_search(model.step(), trie, N_ITEMS, excluded)
    exact = exact_search(model.step(), trie, 3, 10, excluded)
    assert_close(wide.log_probs, best, **CLOSE)
    assert torch.equal(wide.item_ids, ids)
    assert torch.equal(exact.item_ids, ids[:, :10])
    assert exact.is_exact(10).all()


def test_a_narrow_beam_is_refilled(trie):
    model = MadeUpModel(SIZES, N_USERS, seed=1)
    plain = beam_search(model.step(), trie, 5)
    users = torch.arange(N_USERS).repeat_interleave(5)
    excluded = ExcludedItems.of(trie, users, plain.item_ids.flatten(), N_USERS)
    others = beam_search(model.step(), trie, 5, excluded=excluded)
    assert (others.item_ids > 0).all()
    for had, has in zip(plain.item_ids.tolist(), others.item_ids.tolist(), strict=True):
        assert len(set(has)) == 5 and not set(had) & set(has)


def test_items_that_the_trie_lacks_and_none_at_all(trie):
    model = MadeUpModel(SIZES, N_USERS, seed=1)
    unknown = ExcludedItems.of(trie, torch.tensor([0, 2]), torch.tensor([0, 500]), N_USERS)
    nothing = ExcludedItems.of(trie, torch.zeros(0).long(), torch.zeros(0).long(), N_USERS)
    plain = beam_search(model.step(), trie, 5)
    for excluded in (unknown, nothing):
        found = beam_search(model.step(), trie, 5, excluded=excluded)
        assert torch.equal(found.item_ids, plain.item_ids)


def test_leaves_behind_a_node_are_its_items(trie):
    codes = catalogue(N_ITEMS, SIZES, seed=3)
    first, end = trie.leaves_behind(1, torch.tensor([0, 1]))
    codes_of_nodes = codes[:, 0].unique()[:2]
    for node in (0, 1):
        items = trie.items(torch.arange(int(first[node]), int(end[node])))
        expected = (codes[:, 0] == codes_of_nodes[node]).nonzero().squeeze(1) + 1
        assert sorted(items.tolist()) == expected.tolist()
