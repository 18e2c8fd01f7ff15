"""Softmax over drawn items: its gradient on average, and what is never drawn against a target."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from recbole_store.tokenizer.sampled_softmax import Drawn, ItemSampler
from recbole_store.tokenizer.text_tower import TextTower, tower_loss, without_seen

N_ITEMS = 301  # with padding
KNOWN = torch.arange(N_ITEMS) > 0
POPULARITY = F.pad(1 / torch.arange(1, N_ITEMS).float(), (1, 0))  # a few have half of all targets


def batch(n_windows: int, first: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """A given window, and others of items drawn by their popularity, as a training batch has them.

    Returns:
        items [n_windows, T + 1] and all their targets, bool [n_windows, T].
    """
    drawn = torch.multinomial(POPULARITY, n_windows * len(first), replacement=True)
    items = drawn.view(n_windows, len(first))
    items[0] = torch.tensor(first)
    return items, torch.ones(n_windows, len(first) - 1, dtype=torch.bool)


def mean_gradient(sampler: ItemSampler, first: list[int], filtered: bool, corrected=True):
    """Of the loss of the given window's targets with respect to their logits, [T, n_items].

    With the logits themselves.
    """
    torch.manual_seed(0)
    logits = torch.randn(len(first) - 1, N_ITEMS, requires_grad=True)
    n_draws = 300
    for _ in range(n_draws):
        items, wanted = batch(60, first)
        drawn = sampler.draw(items, wanted, KNOWN, filtered)
        n = len(logits)
        corrections = drawn.corrections[:n]
        if not corrected:
            corrections = corrections.masked_fill(corrections.isfinite(), 0.0)
        own = Drawn(drawn.targets[:n], drawn.item_ids, corrections)
        of_targets = logits.gather(1, own.targets[:, None]).squeeze(1)
        (own.cross_entropy(of_targets, logits[:, own.item_ids]) / n_draws).backward()
    return logits.grad, logits.detach()


def full_gradient(logits: torch.Tensor, first: list[int], filtered: bool) -> torch.Tensor:
    items, logits = torch.tensor([first]), logits.clone().requires_grad_()
    wanted = torch.ones(1, len(first) - 1, dtype=torch.bool)
    left = logits.masked_fill(~KNOWN, -torch.inf)
    left = without_seen(left, items, wanted) if filtered else left
    F.cross_entropy(left, items[0, 1:], reduction="sum").backward()
    return logits.grad


@pytest.mark.parametrize("filtered", [False, True])
def test_the_mean_gradient_is_that_of_the_full_softmax(filtered):
    """As far as the noise goes; without the correction it is another."""
    first = [3, 7, 1, 30, 7]
    sampler = ItemSampler(POPULARITY, n_drawn=240)
    found, logits = mean_gradient(sampler, first, filtered)
    expected = full_gradient(logits, first, filtered)
    without, _ = mean_gradient(sampler, first, filtered, corrected=False)
    assert (found - expected).abs().sum() < 0.05 * expected.abs().sum()  # each item's

    def pushed_down(gradient: torch.Tensor, part: slice) -> float:
        return (gradient[:, part].clamp(min=0).sum() / expected[:, part].clamp(min=0).sum()).item()

    popular, rare = slice(10, 50), slice(100, N_ITEMS)
    assert pushed_down(found, popular) == pytest.approx(1, abs=0.03)
    assert pushed_down(found, rare) == pytest.approx(1, abs=0.03)
    assert pushed_down(without, popular) > 1.3 and pushed_down(without, rare) < 0.87
    assert_close(found.sum(1), torch.zeros(4), atol=1e-5, rtol=0)


def test_parts_of_a_batch_meet_what_was_drawn_for_all_of_it():
    items, wanted = batch(7, [3, 7, 1, 30, 7])
    wanted[2, 1] = False
    sampler = ItemSampler(POPULARITY, n_drawn=40)
    torch.manual_seed(1)
    whole = sampler.draw(items, wanted, KNOWN, is_filtered=True)
    torch.manual_seed(1)
    lot = sampler.lot(items, wanted)
    rows = wanted.nonzero()[:, 0]
    for first in (0, 1):
        places = torch.arange(7)[first::2]
        of_part = lot.of_windows(places)
        part = sampler.draw(items[places], wanted[places], KNOWN, is_filtered=True, lot=of_part)
        assert part.item_ids.tolist() == whole.item_ids.tolist()
        is_own = torch.isin(rows, places)
        assert part.targets.tolist() == whole.targets[is_own].tolist()
        assert_close(part.corrections, whole.corrections[is_own], rtol=0, atol=0)


def test_a_window_meets_no_target_of_its_own_but_those_drawn_from_all():
    """And a target is never drawn against itself, whoever drew it."""
    torch.manual_seed(1)
    items = torch.tensor([[1, 2, 3, 0], [4, 5, 6, 7]])
    wanted = torch.tensor([[True, True, False], [True, True, True]])
    counts = torch.ones(N_ITEMS)
    sampler = ItemSampler(counts, n_drawn=10)  # the batch's five targets, and five of all
    drawn = sampler.draw(items, wanted, KNOWN, is_filtered=False)
    assert drawn.targets.tolist() == [2, 3, 5, 6, 7]
    assert {2, 3, 5, 6, 7} <= set(drawn.item_ids.tolist()) and len(drawn.item_ids) <= 10
    for row, target in enumerate(drawn.targets):
        assert drawn.corrections[row, drawn.item_ids == target] == -torch.inf
    of_3_in_row_of_2 = drawn.corrections[0, drawn.item_ids == 3]
    torch.manual_seed(1)
    torch.randperm(5)
    uniform = torch.randint(1, N_ITEMS, (5,)).tolist()
    assert 3 not in uniform and of_3_in_row_of_2 == -torch.inf
    # Five of 300 alike, and three that another window brought.
    expected = 5 / 300 + 3 / 301
    times = 1 + uniform.count(5)
    found = drawn.corrections[0, drawn.item_ids == 5]
    assert_close(found, torch.tensor([times / expected]).log())


def test_histories_and_unknown_items_are_no_negatives():
    torch.manual_seed(2)
    items, wanted = batch(4, [3, 7, 1, 30, 7, 9])
    known = KNOWN.clone()
    known[[11, 12]] = False
    sampler = ItemSampler(POPULARITY, n_drawn=4000)
    drawn = sampler.draw(items, wanted, known, is_filtered=True)
    assert set(range(1, N_ITEMS)) == set(drawn.item_ids.tolist())
    every = torch.zeros(len(drawn.targets), N_ITEMS).masked_fill(~known, -torch.inf)
    left = without_seen(every, items, wanted).isfinite()
    left[torch.arange(len(left)), drawn.targets] = False
    assert torch.equal(drawn.corrections.isfinite(), left[:, drawn.item_ids])


def test_as_many_are_drawn_as_told_whatever_the_batch():
    for n_windows in (1, 200):
        items, wanted = batch(n_windows, [3, 7, 1])
        sampler = ItemSampler(torch.ones(10**6), n_drawn=64)
        drawn = sampler.draw(items, wanted, torch.ones(10**6, dtype=torch.bool), False)
        assert len(drawn.item_ids) <= 64 and len(drawn.targets) == 2 * n_windows
        assert len(drawn.item_ids) > (60 if n_windows == 1 else 32)


def test_the_tower_s_loss_is_that_over_all_items():
    torch.manual_seed(0)
    tower = TextTower(12, 8, dropout=0.0)
    features = F.pad(torch.randn(N_ITEMS - 1, 12), (0, 0, 1, 0))
    items, wanted = batch(60, [3, 7, 1, 30])
    full = tower_loss(tower, features, items, wanted, ~KNOWN, bf16=False)
    sampler = ItemSampler(POPULARITY, n_drawn=2000)
    found = [tower_loss(tower, features, items, wanted, ~KNOWN, False, sampler) for _ in range(20)]
    assert torch.stack(found).mean().item() == pytest.approx(full.item(), rel=0.02)
    (gradient,) = torch.autograd.grad(sum(found) / 20, tower.item.weight)
    (expected,) = torch.autograd.grad(full, tower.item.weight)
    assert F.cosine_similarity(gradient.flatten(), expected.flatten(), dim=0) > 0.99
