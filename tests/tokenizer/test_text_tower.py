"""The text tower: what it pools, what it leaves out, and that it learns what follows what."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from recbole_store.tokenizer.text_tower import DECAY, RECENT, TextTower, Windows, tower_loss


@pytest.fixture
def tower() -> TextTower:
    torch.manual_seed(0)
    return TextTower(6, 4, dropout=0.0).eval()


def test_items_have_unit_length(tower):
    assert_close(tower.items(torch.randn(5, 6)).norm(dim=-1), torch.ones(5))


def test_later_items_of_a_history_weigh_more(tower):
    features = torch.randn(9, 6)
    pooled = tower.pooled(features, torch.tensor([[3, 8, 0]]))
    mapped = tower.history(features)
    assert_close(pooled[0, 0], mapped[3])
    assert_close(pooled[0, 1], (mapped[8] + DECAY * mapped[3]) / (1 + DECAY))


def test_only_recent_items_are_pooled(tower):
    features = torch.randn(RECENT + 3, 6)
    item_seq = torch.arange(1, RECENT + 3)[None]
    other = features.clone()
    other[1:3] = 7.0  # the two that are too old
    assert_close(tower.pooled(features, item_seq)[0, -1], tower.pooled(other, item_seq)[0, -1])


def test_states_change_nothing_at_the_start():
    torch.manual_seed(0)
    with_states = TextTower(6, 4, dropout=0.0, state_size=8)
    pooled = torch.randn(3, 4)
    before = with_states.queries(pooled)
    assert_close(with_states.queries(pooled, torch.randn(3, 8)), before)
    torch.nn.init.normal_(with_states.of_state.weight)
    assert not torch.allclose(with_states.queries(pooled, torch.randn(3, 8)), before)


def test_the_loss_by_hand(tower):
    """Two targets; padding, what the history holds and cold items are no candidates."""
    features = torch.randn(6, 6)
    items = torch.tensor([[1, 2, 4]])
    left_out = torch.tensor([True, False, False, True, False, False])
    losses = []
    for history, target in (([1], 2), ([1, 2], 4)):
        query = tower.queries(tower.pooled(features, torch.tensor([history]))[0, -1])
        logits = tower.logits(query, tower.items(features))
        candidates = [i for i in (1, 2, 4, 5) if i not in history]
        losses.append(logits[candidates].logsumexp(0) - logits[target])
    wanted = torch.tensor([[True, True]])
    found = tower_loss(tower, features, items, wanted, left_out, bf16=False)
    assert_close(found, torch.stack(losses).mean())


def test_windows_are_cut_to_the_longest():
    items = torch.tensor([[1, 2, 0, 0], [3, 4, 5, 6]])
    windows = Windows(items, items[:, 1:] > 0)
    assert windows.of_rows(torch.tensor([0])).items.tolist() == [[1, 2]]
    assert windows.of_rows(torch.tensor([1, 0])).items.shape == (2, 4)


def test_it_learns_what_follows_what_and_new_items_profit():
    """Item i + 1 follows item i; texts are noisy one-hot vectors of (i mod 4)."""
    torch.manual_seed(0)
    kinds = torch.arange(41) % 4
    features = torch.eye(4)[kinds] * 3 + 0.3 * torch.randn(41, 4)
    starts = torch.randint(1, 30, (200,))
    items = starts[:, None] + torch.arange(5)
    left_out = torch.zeros(41, dtype=torch.bool)
    left_out[0] = left_out[36:] = True  # never seen
    tower = TextTower(4, 8, dropout=0.0)
    optimizer = torch.optim.Adam(tower.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        tower_loss(tower, features, items, items[:, 1:] > 0, left_out, bf16=False).backward()
        optimizer.step()
    query = tower.queries(tower.pooled(features, torch.tensor([[5, 6]]))[:, -1])
    logits = tower.logits(query, tower.items(features))[0]
    of_next_kind = kinds == 7 % 4
    assert logits[36:][of_next_kind[36:]].min() > logits[36:][~of_next_kind[36:]].max()
