"""Ways to read RecBole's rows: a bounded number of targets a user in each epoch."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from planted_store import working_in
from planted_tiger import make_model, prepare, tiger_settings
from recbole.utils import get_trainer

from recbole_store.plugin.datasets import random_rows


@pytest.fixture(scope="module")
def bounded(planted, tmp_path_factory):
    with working_in(tmp_path_factory.mktemp("bounded")):
        yield prepare(tiger_settings(planted, targets_per_user=3))


def rows_shown(prepared, n_epochs: int) -> list[list[tuple]]:
    """(user, length of the history, item) of each row, epoch by epoch, as the trainer reads."""
    model = make_model(prepared)
    trainer = get_trainer(prepared.config["MODEL_TYPE"], "TIGER")(prepared.config, model)
    shown: list[list[tuple]] = []

    def watched(batch):
        fields = (batch[name].tolist() for name in ("user_id", "item_length", "item_id"))
        shown[-1] += zip(*fields, strict=True)
        return sum(weight.sum() for weight in model.parameters()) * 0

    model.calculate_loss = watched
    for epoch in range(n_epochs):
        shown.append([])
        trainer._train_epoch(prepared.train, epoch)
    return shown


def test_an_epoch_shows_each_user_s_targets_up_to_the_bound(bounded):
    inter = bounded.train.dataset.inter_feat
    rows = Counter(inter["user_id"].tolist())
    fields = (inter[name].tolist() for name in ("user_id", "item_length", "item_id"))
    every = set(zip(*fields, strict=True))
    first, second, *others = rows_shown(bounded, 12)
    for shown in (first, second):
        assert set(shown) <= every and len(set(shown)) == len(shown)
        assert Counter(user for user, *_ in shown) == {u: min(n, 3) for u, n in rows.items()}
    assert first != second
    seen = set().union(first, second, *others)
    assert len(seen) > 0.95 * len(every), "in time all targets come"


def test_without_a_bound_an_epoch_shows_all(planted):
    prepared = prepare(tiger_settings(planted))
    dataset = prepared.train.dataset
    assert dataset.drawn is None and len(dataset) == len(dataset.inter_feat)


def test_validation_and_test_stay_whole(bounded):
    assert len(bounded.valid.dataset) == len(bounded.test.dataset) == 300


@pytest.mark.parametrize(("at_most", "n_rows"), [(1, 3), (2, 5), (9, 7)])
def test_random_rows_by_hand(at_most, n_rows):
    users = torch.tensor([5, 2, 5, 2, 5, 5, 9])
    rows = random_rows(users, at_most)
    assert len(rows) == n_rows and rows.tolist() == sorted(set(rows.tolist()))
    assert Counter(users[rows].tolist()) == {
        user: min(count, at_most) for user, count in Counter(users.tolist()).items()
    }


def test_random_rows_are_any_with_the_same_probability():
    users = torch.tensor([4, 4, 4, 4, 1])
    counts = sum(torch.bincount(random_rows(users, 1), minlength=5) for _ in range(2000))
    assert counts[4] == 2000
    assert ((counts[:4] / 2000 - 0.25).abs() < 0.05).all()
