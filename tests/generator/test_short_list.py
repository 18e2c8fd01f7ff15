"""The short list of a large catalogue: the same as sorting all items, whatever the blocks."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from scipy import sparse
from torch.testing import assert_close

from recbole_store.generator import short_list
from recbole_store.generator.short_list import BlockIndex, ListedScores

N_ITEMS, N_USERS, WIDTH = 3000, 7, 16


@pytest.fixture(params=[2**16, 500, 97])
def blocks(request, monkeypatch):
    monkeypatch.setattr(short_list, "_BLOCK", request.param)


@pytest.fixture
def rows():
    return torch.randn(N_ITEMS, WIDTH, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def queries():
    return torch.randn(N_USERS, WIDTH, generator=torch.Generator().manual_seed(1))


def every_score(rows, queries, item_ids) -> torch.Tensor:
    scores = torch.full((N_USERS, N_ITEMS), -torch.inf)
    scores[:, item_ids] = queries @ rows[item_ids].T
    return scores


@pytest.mark.parametrize("n", [1, 20, 200, 5000])
def test_the_best_of_all_blocks_are_the_best_of_all(blocks, rows, queries, n):
    item_ids = torch.arange(1, N_ITEMS)[torch.arange(1, N_ITEMS) % 10 != 3]  # some not known
    index = BlockIndex(item_ids, rows.__getitem__, torch.float32)
    every, found = every_score(rows, queries, item_ids), index.best(queries, n)
    expected = every.topk(min(n, len(item_ids)))
    assert found.shape == expected.indices.shape
    assert all(len(items.unique()) == len(items) for items in found)
    assert_close(every.gather(1, found), expected.values)  # near ties in either order
    assert n > 200 or torch.equal(found, expected.indices)


def test_hidden_items_leave_their_places_to_others(blocks, rows, queries):
    item_ids = torch.arange(1, N_ITEMS)
    index = BlockIndex(item_ids, rows.__getitem__, torch.float32)
    first = index.best(queries, 30)
    users = torch.arange(N_USERS).repeat_interleave(20)
    excluded = (users, first[:, :20].flatten())
    assert torch.equal(index.best(queries, 10, excluded), first[:, 20:])
    everything = (torch.zeros(N_ITEMS - 1, dtype=torch.long), item_ids)
    left = index.best(queries, 5, everything)
    assert not left[0].any() and torch.equal(left[1:], first[1:, :5])


def test_what_is_listed_is_scored_exactly(blocks, rows, queries):
    item_ids = torch.arange(1, N_ITEMS - 5)
    index = BlockIndex(item_ids, rows.__getitem__, torch.float32)
    scores = ListedScores(index, rows.__getitem__, queries)
    expected = every_score(rows, queries, item_ids)
    asked = torch.randint(N_ITEMS, (N_USERS, 9), generator=torch.Generator().manual_seed(2))
    asked[0, :2] = torch.tensor([0, N_ITEMS - 1])
    assert_close(scores.of(asked), expected.gather(1, asked))
    best, items = scores.best(20, None)
    assert_close(best, expected.topk(20).values)
    assert torch.equal(items, expected.topk(20).indices)
    assert scores.bounds_others
    few = ListedScores(BlockIndex(item_ids[:7], rows.__getitem__, torch.float32), *vars_of(scores))
    assert few.best(20, None)[1].shape == (N_USERS, 7)


def vars_of(scores: ListedScores):
    return scores.rows_of, scores.queries


def test_items_that_gain_are_found_wherever_they_stand(blocks, rows, queries, monkeypatch):
    """Company lifts the worst items of all to the top, unless a user must not get them."""
    monkeypatch.setattr(short_list, "SHORT_LIST", 8)
    item_ids = torch.arange(1, N_ITEMS)
    plain = every_score(rows, queries, item_ids)
    worst = plain.masked_fill(plain == -torch.inf, torch.inf).topk(3, largest=False).indices
    gains = torch.zeros(N_USERS, N_ITEMS).scatter(1, worst, 100.0)
    index = BlockIndex(item_ids, rows.__getitem__, torch.float32)
    company = sparse.csr_matrix(gains.numpy())
    scores = ListedScores(index, rows.__getitem__, queries, company)
    expected = (plain + gains).topk(6)
    best, items = scores.best(6, None)
    assert_close(best, expected.values)
    assert torch.equal(items, expected.indices) and not scores.bounds_others
    excluded = (torch.tensor([0, 1]), worst[[0, 1], [0, 1]])
    best, items = scores.best(6, excluded)
    without = (plain + gains).index_put(excluded, torch.tensor(-torch.inf)).topk(6)
    assert torch.equal(items, without.indices)


def test_recall_in_bfloat16_where_items_come_in_clusters():
    """Planted: as many items a cluster as are asked for, whose scores differ by little."""
    generator = torch.Generator().manual_seed(3)
    n_clusters, per_cluster, width = 1500, 20, 64
    centres = F.normalize(torch.randn(n_clusters, width, generator=generator), dim=-1)
    noise = 0.05 * torch.randn(n_clusters * per_cluster, width, generator=generator)
    rows = F.pad(centres.repeat_interleave(per_cluster, 0) + noise, (0, 0, 1, 0))
    wanted = torch.arange(0, n_clusters, 30)
    item_ids = torch.arange(1, len(rows))
    index = BlockIndex(item_ids, rows.__getitem__, torch.bfloat16)
    scores = ListedScores(index, rows.__getitem__, 10 * centres[wanted])
    _, found = scores.best(20, None)
    exact = (10 * centres[wanted] @ rows[1:].T).topk(20).indices + 1
    recall = (found[:, :, None] == exact[:, None]).any(1).float().mean()
    assert recall > 0.999 and not scores.bounds_others
    of_cluster = 1 + wanted[:, None] * per_cluster + torch.arange(per_cluster)
    assert torch.equal(found.sort(1).values, of_cluster)
