"""Tests of trained models: histories filtered or not, and what each user was recommended."""

from __future__ import annotations

import math
import random
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from planted_store import first_rows, make_model, make_trainer, prepare, store_settings, working_in
from recbole.data import data_preparation

from recbole_store.experiments.run import continuation
from recbole_store.experiments.run.build import build
from recbole_store.experiments.run.fit import fit
from recbole_store.experiments.run.ranked_lists import (
    ends_on_one_day,
    ranked_items,
    ranks_of_targets,
)
from recbole_store.experiments.run.run import run_model
from recbole_store.plugin.seen_items import SeenItems, excluded_pairs, history_pairs
from recbole_store.settings.resolve import resolve

N_ITEMS = 30


@pytest.fixture
def repeating(write_dataset) -> tuple:
    """Histories of 4 to 23 items, some of them twice: (data_path, raw user id -> raw item ids)."""
    rng = random.Random(3)
    histories = {
        f"u{user}": [f"i{int(rng.random() ** 2 * N_ITEMS)}" for _ in range(4 + user % 20)]
        for user in range(40)
    }
    rows = [
        (user, item, 1_600_000_000 + step)
        for user, items in histories.items()
        for step, item in enumerate(items)
    ]
    return write_dataset("repeating", rows), histories


def settings(model: str, data_path, **typed) -> dict:
    typed = {"data_path": data_path, "gpu_id": "", "MAX_ITEM_LIST_LENGTH": 3, **typed}
    found = resolve(model, "repeating", [], {key: str(value) for key, value in typed.items()})
    return {**found, "show_progress": False}


def run(model: str, data_path, folder, **typed) -> tuple[dict, dict]:
    """Result and ranked lists of a run."""
    result = run_model(model, "repeating", settings(model, data_path, **typed), folder)
    with np.load(folder / "ranked.npz") as lists:
        return result, dict(lists)


@pytest.mark.parametrize("model", ["SASRec", "Pop"])
@pytest.mark.parametrize("split", [-2, -1])
def test_all_that_a_user_had_is_excluded_but_the_target(repeating, model, split):
    data_path, histories = repeating
    config, dataset = build(model, "repeating", settings(model, data_path, filter_history=True))
    loader = data_preparation(config, dataset)[split]
    hidden, targets = {}, {}
    for interaction, history, rows, items in loader:
        users = dataset.id2token("user_id", interaction["user_id"])
        for row, item in zip(*history, strict=True):
            hidden.setdefault(users[row], set()).add(dataset.id2token("item_id", int(item)))
        targets.update(zip(users[rows], dataset.id2token("item_id", items), strict=True))
    for user, items in histories.items():
        before = set(items[:split]) - {items[split]}
        assert (hidden.get(user, set()), targets[user]) == (before, items[split])


def test_what_stands_before_a_target_in_its_own_split_is_excluded(repeating):
    data_path, histories = repeating
    typed = {"filter_history": True, "eval_args": "{split: {RS: [0.4, 0.3, 0.3]}}"}
    config, dataset = build("SASRec", "repeating", settings("SASRec", data_path, **typed))
    _, valid, test = data_preparation(config, dataset)
    rows = {}
    for interaction, history, _, items in test:
        users = dataset.id2token("user_id", interaction["user_id"])
        hidden = [set() for _ in users]
        for row, item in zip(*history, strict=True):
            hidden[row].add(dataset.id2token("item_id", int(item)))
        for row, item in enumerate(dataset.id2token("item_id", items)):
            rows.setdefault(users[row], []).append((item, hidden[row]))
    assert max(map(len, rows.values())) > 4  # more than a history that a model sees
    for user, found in rows.items():
        items = histories[user]
        places = range(len(items) - len(found), len(items))
        assert found == [(items[p], set(items[:p]) - {items[p]}) for p in places]


@pytest.mark.parametrize("model", ["SASRec", "Pop"])
def test_histories_of_benchmark_files_are_hidden(tmp_path, model):
    folder = tmp_path / "bench"
    folder.mkdir()
    rows = {"train": "i1 i2\ti3", "valid": "i1 i2 i3 i5\ti4", "test": "i3 i4 i6\ti1"}
    for part, row in rows.items():
        header = "user_id:token\titem_id_list:token_seq\titem_id:token"
        (folder / f"bench.{part}.inter").write_text(f"{header}\nu1\t{row}\n")
    typed = {"data_path": str(tmp_path), "gpu_id": "", "filter_history": "True"}
    typed |= {"benchmark_filename": "[train, valid, test]", "alias_of_item_id": "[item_id_list]"}
    typed |= {"load_col": "{inter: [user_id, item_id_list, item_id]}"}
    config, dataset = build(model, "bench", resolve(model, "bench", [], typed))
    _, *loaders = data_preparation(config, dataset)
    for loader, expected in zip(loaders, ("i1 i2 i3 i5", "i2 i3 i4 i5 i6"), strict=True):
        ((_, (_, items), _, _),) = list(loader)
        assert sorted(dataset.id2token("item_id", items)) == expected.split()


def test_pairs_by_hand():
    seen = SeenItems.of_pairs(torch.tensor([2, 1, 2, 2]), torch.tensor([5, 0, 3, 5]), 4, 9)
    rows, items = seen.of_users(torch.tensor([2, 1, 2]))
    assert (rows.tolist(), items.tolist()) == ([0, 0, 2, 2], [3, 5, 3, 5])


def test_filtered_lists_hold_the_most_popular_that_are_new(repeating, tmp_path):
    data_path, histories = repeating
    _, lists = run("Pop", data_path, tmp_path / "run")
    counts = Counter(item for items in histories.values() for item in items[:-2])
    raw = lists["raw_ids"]
    assert {raw[i]: n for i, n in enumerate(lists["item_counts"]) if n} == dict(counts)
    for user, target, its_items in zip(
        lists["users"], lists["targets"], lists["items_filtered"], strict=True
    ):
        history = set(histories[user][:-1]) - {raw[target]}
        found = [raw[item] for item in its_items if item]
        n_left = len(lists["raw_ids"]) - 1 - len(history)
        assert not history & set(found) and len(found) == min(20, n_left)
        assert [counts[item] for item in found] == sorted((counts[i] for i in found), reverse=True)


def test_lists_give_recboles_metrics(repeating, tmp_path):
    data_path, histories = repeating
    results = {
        model: run(model, data_path, tmp_path / model, epochs=1)
        for model in ("SASRec", "Pop", "SASRecAll")
    }
    for result, lists in results.values():
        for name in ("unfiltered", "filtered"):
            ranks = lists[f"ranks_{name}"]
            hits = (ranks > 0) & (ranks <= 10)
            gains = np.where(hits, 1 / np.log2(np.maximum(ranks, 1) + 1), 0)
            assert result["tests"][name]["recall@10"] == round(hits.mean(), 4)
            assert result["tests"][name]["ndcg@10"] == round(gains.mean(), 4)
        assert result["test"] == result["tests"]["unfiltered"]
        assert result["tests"]["filtered"]["recall@10"] > result["test"]["recall@10"]
    _, one = results["SASRec"]
    _, other = results["Pop"]
    for key in ("users", "target_counts", "history_lengths"):
        np.testing.assert_array_equal(one[key], other[key])
    lengths = dict(zip(one["users"], one["history_lengths"], strict=True))
    assert lengths == {user: len(items) - 1 for user, items in histories.items()}
    assert one["same_day"].all()  # its times are seconds apart


@pytest.mark.parametrize(
    ("times", "found"),
    [
        ([1e9, 2e9, 1e9, 1e9 + 7, 1e9], [False, False, True, False]),
        ([1e9 + 9, 1e9, 2e9, 1e9, 1e9], [False, True, False, False]),  # in any order
        ([1, 2, 3, 4, 5], None),  # places in a list, no seconds
        ([1e12, 1e12, 1e12, 1e12, 1e12], None),  # milliseconds
    ],
)
def test_whether_a_user_s_last_two_have_one_date(times, found):
    same_day = ends_on_one_day(np.array([1, 1, 2, 2, 3]), np.array(times), 4)
    assert (None if same_day is None else same_day.tolist()) == found


def test_the_own_filter_selects_epochs_and_heads_the_result(repeating, tmp_path):
    result, _ = run("SASRec", repeating[0], tmp_path / "run", epochs=1, filter_history=True)
    assert result["test"] == result["tests"]["filtered"] != result["tests"]["unfiltered"]
    assert result["protocol"]["filter_history"] is True


def test_examples_are_the_last_items_before_the_test(repeating, tmp_path):
    data_path, histories = repeating
    _, lists = run("Pop", data_path, tmp_path / "run")
    with np.load(tmp_path / "run" / "histories.npz") as examples:
        for user, items in zip(examples["users"], examples["histories"], strict=True):
            expected = histories[user][:-1][-10:]
            assert [lists["raw_ids"][item] for item in items if item] == expected
        assert len(examples["users"]) == 20


@pytest.mark.parametrize("scores", [torch.tensor([[-math.inf, 3.0, -math.inf, 5.0]])])
def test_what_may_not_be_ranked_is_not_in_a_list(scores):
    items = ranked_items(scores, 6)
    assert items.tolist() == [[3, 1, 0, 0, 0, 0]]
    assert ranks_of_targets(items, torch.tensor([1])).tolist() == [2]
    assert ranks_of_targets(items, torch.tensor([2])).tolist() == [0]


@pytest.fixture(scope="module")
def prepared(tiny_llm, planted, tmp_path_factory):
    with working_in(tmp_path_factory.mktemp("filter")):
        yield prepare(store_settings(tiny_llm, planted, filter_history=True))


@pytest.mark.parametrize("decoding", ["beam", "exact"])
def test_beams_are_refilled_with_unseen_items(prepared, decoding):
    model = make_model(prepared, decoding=decoding, num_beams=60)
    model.eval()
    batch = first_rows(prepared.test, 40)
    data = prepared.test.dataset
    seen = history_pairs(data, batch, range(40))
    excluded = excluded_pairs(data, 40, torch.arange(40), batch["item_id"], seen)
    every = model.recommend(batch)  # all 60 items, the likeliest first
    found = model.recommend(batch, excluded)
    is_excluded = torch.zeros(40, model.n_items, dtype=torch.bool)
    is_excluded[excluded] = True
    for row, (before, after) in enumerate(
        zip(every.item_ids.tolist(), found.item_ids[:, :10].tolist(), strict=True)
    ):
        expected = [item for item in before if not is_excluded[row, item]]
        n = min(10, len(every.item_ids[row]))
        if decoding == "exact":
            expected = expected[: len(after)]
            assert after[: len(expected)] == expected
        else:
            assert after == expected[:n]


def test_free_decoding_drops_what_is_excluded(prepared):
    model = make_model(prepared, decoding="free", num_beams=16**3)
    batch = first_rows(prepared.test, 20)
    plain = model.recommend(batch)
    rows = torch.arange(20)
    found = model.recommend(batch, (rows, plain.item_ids[:, 0]))
    assert plain.item_ids[:, 0].all()
    assert torch.equal(found.item_ids[:, :-1], plain.item_ids[:, 1:])


def test_dense_scores_are_filtered_too(prepared):
    """A metric of all scores gets the same ranking through RecBole's matrix."""
    model = make_model(prepared)
    results = []
    for by_topk in (True, False):
        trainer = make_trainer(prepared, model)
        trainer.eval_collector.data_collect(prepared.train)
        trainer._by_topk = by_topk
        results.append(trainer.evaluate(prepared.test, load_best_model=False))
    assert results[0] == results[1]


def test_hours_spent_end_the_training(repeating, tmp_path):
    result, _ = run("SASRec", repeating[0], tmp_path / "short", epochs=50, max_hours=1e-9)
    assert (result["times"]["epochs"], result["converged"]) == (1, False)
    assert result["test"]["recall@20"] > 0  # the one epoch was kept, and tested


class Clocked:
    """A trainer whose epochs and tokenizer take as long as told, one evaluation an epoch."""

    valid_metric = "ndcg@10"

    def __init__(self, config, clock, tokenizer_s, cached, epoch_s):
        self.config = config
        self.model = SimpleNamespace(
            tokenizer_report={"tokenizer_s": tokenizer_s, "tokenizer_cached": cached}
        )
        self.clock, self.epoch_s, self.epochs = clock, epoch_s, 0

    def fit(self, *_, callback_fn, **__):
        report = self.model.tokenizer_report
        self.clock.now += 0 if report["tokenizer_cached"] else report["tokenizer_s"]
        while True:
            self.clock.now += self.epoch_s
            self.epochs += 1
            callback_fn(self.epochs, 0.0)


@pytest.mark.parametrize("cached", [False, True])
def test_hours_are_kept_and_hold_the_tokenizer_cached_or_not(monkeypatch, cached, tmp_path):
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(continuation.time, "perf_counter", lambda: clock.now)
    config = {"max_hours": 1.0, "epochs": 50, "model": "Clocked"}
    trainer = Clocked(config, clock, tokenizer_s=1500, cached=cached, epoch_s=500)
    training = continuation.Continuation(trainer, tmp_path, minutes=None)
    assert fit(training, None, None, config) == 1500 + 4 * 500  # a fifth would end at 4000
    assert trainer.epochs == 4
    # Of a process that was cut off 2,000 seconds in, behind an evaluation:
    clock.now, trainer.epochs = 0.0, 0
    training = continuation.Continuation(trainer, tmp_path, minutes=None)
    training.progress.spent_before_s = training.trained_s = 2000
    trainer.model.tokenizer_report = {"tokenizer_s": 0, "tokenizer_cached": False}
    assert fit(training, None, None, config) == 3500 and trainer.epochs == 3


def test_hours_are_not_blamed_where_the_last_epoch_has_come(monkeypatch, caplog, tmp_path):
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(continuation.time, "perf_counter", lambda: clock.now)
    config = {"max_hours": 1.0, "epochs": 4, "model": "Clocked"}
    trainer = Clocked(config, clock, tokenizer_s=0, cached=False, epoch_s=3000)
    trainer.fit = lambda *_, callback_fn, **__: callback_fn(3, 0.0)
    training = continuation.Continuation(trainer, tmp_path, minutes=None)
    training.progress.spent_before_s = 9000
    with caplog.at_level("INFO"):
        assert fit(training, None, None, config) == 9000
    assert "max_hours" not in caplog.text


def test_early_stopping_is_convergence(repeating, tmp_path):
    typed = {"epochs": 300, "stopping_step": 1, "learning_rate": 0.05}
    result, _ = run("SASRecAll", repeating[0], tmp_path / "run", **typed)
    assert result["times"]["epochs"] < 300 and result["converged"]
    assert run("Pop", repeating[0], tmp_path / "pop")[0]["converged"]
