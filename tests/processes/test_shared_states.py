"""An optimizer's shared states: when they are, and whose is what; two processes: test_ranks.py."""

from __future__ import annotations

import pytest
import torch

from recbole_store.processes.shared_states import (
    bytes_needed,
    is_too_large,
    owners_of,
    share_states,
    share_states_if_too_large,
)

GB = 2**30


def test_bytes_are_those_of_weights_gradients_and_two_states():
    assert bytes_needed(1000, 1000) == 16_000
    assert bytes_needed(1000, 100) == 4_000 + 400 + 800  # most of it frozen
    assert bytes_needed(1000, 1000, n_sharing=4) == 10_000


@pytest.mark.parametrize(
    ("n_weights", "n_trained", "there", "expected"),
    [
        (135e6, 135e6, 80 * GB, False),
        (7e9, 7e9, 80 * GB, True),
        (7e9, 20e6, 80 * GB, False),  # adapters
        (4.2e9, 4.2e9, 80 * GB, False),
        (4.4e9, 4.4e9, 80 * GB, True),  # activations need room as well
    ],
)
def test_states_are_shared_where_not_all_fits(n_weights, n_trained, there, expected):
    assert is_too_large(int(n_weights), int(n_trained), there) is expected


def test_weights_are_shared_out_evenly():
    assert owners_of([5, 9, 4], 2) == [1, 0, 1]
    assert owners_of([1, 1, 1, 1], 2) == [0, 1, 0, 1]
    assert owners_of([7], 3) == [0]


def steps_of(weights, optimizer, n_steps: int) -> None:
    for step in range(n_steps):
        optimizer.zero_grad()
        sum((weight * (step + 1)).square().sum() for weight in weights).backward()
        optimizer.step()


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.Adagrad, torch.optim.Adafactor])
def test_each_keeps_its_own_and_the_usual_state_is_loaded(kind, monkeypatch):
    """The second of two processes, which hears nothing of the first."""
    from recbole_store.processes import ranks

    def new() -> tuple[list, torch.optim.Optimizer]:
        weights = [torch.nn.Parameter(torch.ones(size)) for size in (4, 9, 2)]
        return weights, kind([{"params": weights[:2]}, {"params": weights[2:]}], lr=0.1)

    weights, whole = new()
    steps_of(weights, whole, 2)
    monkeypatch.setattr(ranks, "world_size", lambda: 2)
    monkeypatch.setattr(ranks, "rank", lambda: 1)
    monkeypatch.setattr(ranks, "broadcast", lambda *_: None)
    monkeypatch.setattr(ranks, "gather_on_first", lambda value: [value])
    own_weights, shared = new()
    share_states(shared)
    steps_of(own_weights, shared, 2)
    assert [weight in shared.state for weight in own_weights] == [True, False, True]
    for place in (0, 2):
        assert torch.equal(own_weights[place], weights[place])
    assert own_weights[1].tolist() == [1.0] * 9  # the first's affair
    _, fresh = new()
    share_states(fresh)
    fresh.load_state_dict(whole.state_dict())
    assert sorted(fresh.state_dict()["state"]) == [0, 2]


def test_one_process_and_a_cpu_share_nothing():
    weights = [torch.nn.Parameter(torch.ones(3))]
    optimizer = torch.optim.Adam(weights)
    share_states_if_too_large(optimizer, torch.nn.Linear(1, 1), torch.device("cpu"))
    steps_of(weights, optimizer, 1)
    assert len(optimizer.state_dict()["state"]) == 1
