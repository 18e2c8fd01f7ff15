"""Beam search against scoring every item by hand, on a made-up model."""

from __future__ import annotations

import math
import random

import pytest
import torch
from torch.testing import assert_close

from recbole_store.generator.beam_search import beam_search, path_log_probs
from recbole_store.generator.code_trie import CodeTrie

SIZES = [3, 7, 2]  # levels of unequal size
N_USERS = 4
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


class MadeUpModel:
    """Logits of the next code: an arbitrary but fixed function of user and prefix."""

    def __init__(self, sizes: list[int], n_users: int, seed: int):
        self.sizes, self.n_users, self.seed = sizes, n_users, seed

    def logits(self, user: int, prefix: list[int]) -> list[float]:
        rng = random.Random(f"{self.seed} {user} {prefix}")
        return [rng.gauss(0, 2) for _ in range(self.sizes[len(prefix)])]

    def step(self):
        """A fresh step function, which remembers the prefix of each query."""
        return _Step(self)

    def log_prob(self, user: int, codes: list[int]) -> float:
        """Log-likelihood of an item, by plain arithmetic."""
        total = 0.0
        for level, code in enumerate(codes):
            logits = self.logits(user, codes[:level])
            total += logits[code] - math.log(sum(math.exp(logit) for logit in logits))
        return total


class _Step:
    """Knows by heart what was asked; n_queries counts the rows of all calls."""

    def __init__(self, model: MadeUpModel):
        self.model = model
        self.users = list(range(model.n_users))
        self.asked = [[[[]] for _ in self.users]] + [[[] for _ in self.users] for _ in model.sizes]
        self.n_queries = 0

    def __call__(self, level, parents, codes):
        assert (parents is None) == (codes is None) == (level == 0)
        if level == 0:
            now = self.asked[0]
        else:
            now = [
                [before[p] + [c] for p, c in zip(ps, cs, strict=True)]
                for before, ps, cs in zip(
                    self.asked[level - 1], parents.tolist(), codes.tolist(), strict=True
                )
            ]
            for rows, new in zip(self.asked[level], now, strict=True):
                rows += new
        assert {len(prefix) for rows in now for prefix in rows} == {level}
        self.n_queries += sum(map(len, now))
        logits = self.model.logits
        return torch.tensor(
            [[logits(user, p) for p in rows] for user, rows in zip(self.users, now, strict=True)]
        )

    def select(self, users):
        def chosen(rows):
            return [rows[user] for user in users.tolist()]

        self.users = chosen(self.users)
        self.asked = [chosen(rows) for rows in self.asked]


def catalogue(n_items: int = 17, sizes: list[int] = SIZES, seed: int = 5) -> torch.Tensor:
    rows = torch.cartesian_prod(*(torch.arange(size) for size in sizes))
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    return rows.reshape(len(order), len(sizes))[order[:n_items]]


def every_log_prob(model: MadeUpModel, codes: torch.Tensor) -> torch.Tensor:
    """[B, N], by plain arithmetic."""
    items = codes.tolist()
    return torch.tensor(
        [[model.log_prob(user, item) for item in items] for user in range(model.n_users)]
    )


@pytest.fixture
def model() -> MadeUpModel:
    return MadeUpModel(SIZES, N_USERS, seed=1)


@pytest.mark.parametrize("num_beams", [17, 40])
def test_enough_beams_score_every_item_exactly(model, num_beams):
    codes = catalogue()
    # Item ids that are not row numbers: mixing them up would show.
    item_ids = 100 - torch.arange(len(codes))
    beams = beam_search(model.step(), CodeTrie(codes, item_ids), num_beams)
    expected = every_log_prob(model, codes)
    for user in range(N_USERS):
        ranking = expected[user].argsort(descending=True)
        found = beams.item_ids[user] > 0
        assert beams.item_ids[user][found].tolist() == item_ids[ranking].tolist()
        assert_close(beams.log_probs[user][found], expected[user][ranking], **CLOSE)


def test_some_probability_goes_to_codes_that_no_item_has(model):
    """The softmax is over the level's codes, as in training."""
    trie = CodeTrie(catalogue(), torch.arange(1, 18))
    total = beam_search(model.step(), trie, 17).log_probs.exp().sum(1)
    assert (0 < total).all() and (total < 0.99).all()


def test_fewer_items_than_beams(model):
    codes = catalogue(n_items=3)
    beams = beam_search(model.step(), CodeTrie(codes, torch.tensor([4, 8, 6])), 12)
    for item_ids, log_probs in zip(beams.item_ids, beams.log_probs, strict=True):
        assert sorted(item_ids[:3].tolist()) == [4, 6, 8]
        assert log_probs[:3].isfinite().all()
        assert (item_ids[3:] == 0).all()
        assert (log_probs[3:] == -torch.inf).all()


def test_path_log_probs_agree(model):
    codes = catalogue()
    found = path_log_probs(model.step(), codes.expand(N_USERS, -1, -1))
    assert_close(found, every_log_prob(model, codes), **CLOSE)


def test_path_log_probs_of_other_candidates_for_each_user(model):
    codes = catalogue()
    chosen = torch.tensor([[0, 3], [5, 5], [16, 2], [9, 1]])  # a repeated one too
    found = path_log_probs(model.step(), codes[chosen])
    expected = every_log_prob(model, codes).gather(1, chosen)
    assert_close(found, expected, **CLOSE)


def naive_beams(model, user: int, items: list[list[int]], num_beams: int):
    """Textbook beam search over lists of codes."""
    beams = [([], 0.0)]
    for level in range(len(model.sizes)):
        longer = sorted({tuple(row[: level + 1]) for row in items})
        kept = {tuple(codes) for codes, _ in beams}
        beams = [
            (list(codes), model.log_prob(user, list(codes)))
            for codes in longer
            if codes[:-1] in kept
        ]
        beams = sorted(beams, key=lambda beam: -beam[1])[:num_beams]
    return beams


@pytest.mark.parametrize("num_beams", [1, 2, 5])
def test_few_beams_are_the_textbook_s(model, num_beams):
    codes = catalogue()
    items = codes.tolist()
    beams = beam_search(model.step(), CodeTrie(codes, torch.arange(17) + 1), num_beams)
    assert beams.item_ids.shape == (N_USERS, num_beams)
    for user in range(N_USERS):
        expected = naive_beams(model, user, items, num_beams)
        assert [items[item - 1] for item in beams.item_ids[user]] == [row for row, _ in expected]
        assert_close(beams.log_probs[user], torch.tensor([p for _, p in expected]), **CLOSE)


@pytest.mark.parametrize("seed", range(5))
def test_few_beams_are_sorted_distinct_real_items(seed):
    model = MadeUpModel([6, 6, 6], N_USERS, seed)
    codes = catalogue(50, [6, 6, 6], seed)
    beams = beam_search(model.step(), CodeTrie(codes, torch.arange(50) + 1), 8)
    assert (beams.log_probs.diff(dim=1) <= 0).all()
    for item_ids in beams.item_ids.tolist():
        assert len(set(item_ids)) == 8
        assert set(item_ids) <= set(range(1, 51))


def test_a_pruned_prefix_takes_its_items_along():
    """One beam follows the likelier first code into the less likely item; two beams do not."""
    logits = {(): [1.0, 0.9], (0,): [0.0, 0.0], (1,): [5.0, -5.0]}

    def step_of():
        beams = [()]

        def step(level, parents, codes):
            nonlocal beams
            if level:
                beams = [
                    beams[p] + (c,) for p, c in zip(parents[0], codes[0].tolist(), strict=True)
                ]
            return torch.tensor([[logits[beam] for beam in beams]])

        return step

    trie = CodeTrie(torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]]), torch.tensor([1, 2, 3, 4]))
    assert beam_search(step_of(), trie, 1).item_ids[0, 0] in (1, 2)
    assert beam_search(step_of(), trie, 2).item_ids[0, 0] == 3


@pytest.mark.parametrize("k", [1, 3])
def test_the_certificate_is_right(k):
    """Where it is given, the first k are the true ones; where not, often they are not."""
    codes = catalogue(60, [6, 6, 6], seed=0)
    trie = CodeTrie(codes, torch.arange(60) + 1)
    n_exact = n_wrong = 0
    for seed in range(40):
        model = MadeUpModel([6, 6, 6], N_USERS, seed)
        beams = beam_search(model.step(), trie, k)
        truth = every_log_prob(model, codes).topk(k)
        exact = beams.is_exact(k)
        same = (beams.item_ids[:, :k] == truth.indices + 1).all(1)
        assert same[exact].all()
        n_exact += int(exact.sum())
        n_wrong += int((~same).sum())
    assert n_exact > 10 and n_wrong > 10  # the data has both


def test_nothing_pruned_is_exact_for_any_k(model):
    trie = CodeTrie(catalogue(), torch.arange(1, 18))
    assert beam_search(model.step(), trie, 17).is_exact(17).all()
    assert beam_search(model.step(), trie, 17).is_exact(40).all()
    assert not beam_search(model.step(), trie, 3).is_exact(4).any()
