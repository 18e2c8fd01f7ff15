"""Ranked lists in place of dense scores: the same metrics, without the matrix."""

from __future__ import annotations

import pytest
import torch
from planted_store import make_model, make_trainer, prepare, store_settings, working_in

from recbole_store.generator.beam_search import Beams
from recbole_store.generator.scores import dense_scores
from recbole_store.plugin.topk_collector import MAX_SCORES, TopKCollector, users_per_batch

METRICS = ["Recall", "MRR", "NDCG", "Hit", "Precision", "MAP", "ItemCoverage", "GiniIndex"]


@pytest.fixture(scope="module")
def prepared(tiny_llm, planted, tmp_path_factory):
    with working_in(tmp_path_factory.mktemp("topk")):
        yield prepare(store_settings(tiny_llm, planted, metrics=METRICS))


def evaluate(prepared, monkeypatch, by_topk: bool, **changes):
    model = make_model(prepared, **changes)
    trainer = make_trainer(prepared, model, **changes)
    trainer._by_topk = by_topk
    trainer.eval_collector.data_collect(prepared.train)
    sizes = []
    monkeypatch.setattr(
        "recbole_store.plugin.trainer.dense_scores",
        lambda beams, n_items: sizes.append(len(beams.item_ids)) or dense_scores(beams, n_items),
    )
    return trainer.evaluate(prepared.test, load_best_model=False), sum(sizes), model


@pytest.mark.parametrize("decoding", ["beam", "exact"])
def test_metrics_equal_those_of_dense_scores(prepared, monkeypatch, decoding):
    ours, n_dense, model = evaluate(prepared, monkeypatch, True, decoding=decoding)
    theirs, n_users, _ = evaluate(prepared, monkeypatch, False, decoding=decoding)
    assert ours == theirs
    assert 0 < ours["recall@10"] < 1
    assert (n_dense, n_users) == (0, 300)
    certain = model.certain
    assert list(certain) == [1, 5, 10]
    if decoding == "exact":
        assert set(certain.values()) == {1.0}
    else:
        assert 1 > certain[1] >= certain[5] >= certain[10]


def test_several_targets_and_too_few_items(prepared):
    """One user with two targets, one with none of his found, in a catalogue of three items."""
    collector = TopKCollector(prepared.config)
    item_ids = torch.tensor([[3, 1, 2], [2, 3, 0]])
    beams = Beams(item_ids, -item_ids.float(), torch.zeros(2))
    collector.eval_batch_collect(beams, None, torch.tensor([0, 0, 1]), torch.tensor([1, 2, 1]))
    found = collector.data_struct.get("rec.topk")
    assert found[0].tolist() == [0, 1, 1, *[0] * 7, 2]
    assert found[1].tolist() == [0] * 10 + [1]
    assert collector.data_struct.get("rec.items")[1].tolist() == [2, 3, *[0] * 8]


def test_dense_scores_of_a_large_catalogue_come_for_few_users_at_a_time(tiny_llm, planted):
    plain = prepare(store_settings(tiny_llm, planted)).config
    assert users_per_batch(plain, 10**6) == plain["eval_batch_size"]
    dense = prepare(
        store_settings(tiny_llm, planted, metrics=["NDCG", "GAUC"], eval_batch_size=512)
    ).config
    assert users_per_batch(dense, 1000) == 512
    assert users_per_batch(dense, 10**6) == MAX_SCORES // 10**6 == 8
    assert users_per_batch(dense, 10**9) == 1
