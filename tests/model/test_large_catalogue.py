"""STORE beyond ``full_softmax_limit`` against the same weights below it."""

from __future__ import annotations

import pytest
import torch
from planted_store import (
    first_rows,
    make_model,
    make_trainer,
    prepare,
    store_settings,
    working_in,
)
from torch.testing import assert_close

from recbole_store.errors import SettingsError
from recbole_store.generator import short_list
from recbole_store.model import large_catalogue, store

N_USERS = 12
LARGE = {"full_softmax_limit": 20}  # of 60 items
TOWER = {
    "tokenizer": "tower",
    "text_head_weight": 1.0,
    "together_weight": 2.0,
    "likeness_weight": 1.0,
    "last_item_weight": 3.0,
}


@pytest.fixture(scope="module")
def prepared(tiny_llm, planted, tmp_path_factory):
    with working_in(tmp_path_factory.mktemp("large")):
        changes = {"item_vector_size": 16, "item_head_weight": 1.0, "item_head_share": 0.6}
        yield prepare(store_settings(tiny_llm, planted, **changes))


KINDS = {  # settings, of how many items texts are alike by the LLM's states, and new items
    "item head": ({}, 0, []),
    "all heads and gains": (TOWER, 0, []),
    "alike by the LLM's states": (TOWER, 3_000, []),
    "new items": (TOWER, 0, [3, 17, 40]),
}


@pytest.fixture(scope="module", params=KINDS)
def pair(request, prepared):
    """The model below and beyond the limit, with weights that differ from item to item."""
    changes, few_items, new = KINDS[request.param]
    small = make_model(prepared, **changes)
    tokenizer = small.item_tokenizer
    tokenizer.set_points(torch.randn(small.n_items - 1, small.points.size(1)))
    with torch.no_grad():
        small.item_vectors.own.weight.normal_()
        small.item_input.weight.normal_()
        if small.text_head is not None:
            small.text_head.of_state.weight.normal_(std=0.1)
    large = make_model(prepared, **changes, **LARGE)
    large.load_state_dict(small.state_dict())
    assert large.draws_items and not small.draws_items
    for model in (small, large) if new else ():
        model.cold_items, model.has_joined, model.new_item_bias = torch.tensor(new), True, 0.4
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "FEW_ITEMS", few_items)
        yield small.eval(), large.eval()


@pytest.fixture(params=[torch.float32, torch.bfloat16])
def index_dtype(request, monkeypatch, pair):
    is_bf16 = request.param == torch.bfloat16
    monkeypatch.setattr(large_catalogue, "use_bf16", lambda *_: is_bf16)
    pair[1].eval()  # which forgets the index
    return request.param


def same_lists(small, large, rtol: float = 1e-3) -> None:
    """The same items, and scores that differ by one number a user."""
    assert torch.equal(large.item_ids, small.item_ids)
    found = small.item_ids > 0
    gaps = (large.log_probs - small.log_probs)[:, :1] - (large.log_probs - small.log_probs)
    assert_close(gaps[found], torch.zeros_like(gaps[found]), atol=rtol, rtol=0)


def test_a_list_of_the_whole_catalogue_is_the_exact_ranking(prepared, pair, index_dtype):
    small, large = pair
    batch = first_rows(prepared.test, N_USERS)
    exact, found = small.recommend(batch), large.recommend(batch)
    same_lists(exact, found)
    is_certain = index_dtype == torch.float32 and large.company is None
    assert (found.pruned < torch.inf).all() == is_certain
    if is_certain:
        assert torch.equal(found.is_exact(5), exact.is_exact(5))
    excluded = (torch.arange(N_USERS).repeat_interleave(4), exact.item_ids[:, :4].flatten())
    same_lists(small.recommend(batch, excluded), large.recommend(batch, excluded))


def test_a_short_list_is_enough_where_it_holds_what_ranks_best(
    prepared, pair, index_dtype, monkeypatch
):
    """Items a beam finds are scored as well, though they are on no list."""
    small, large = pair
    batch = first_rows(prepared.test, N_USERS)
    monkeypatch.setattr(short_list, "SHORT_LIST", 40)
    monkeypatch.setattr(short_list, "_BLOCK", 7)
    found, exact = large.recommend(batch).item_ids[:, :5], small.recommend(batch).item_ids[:, :5]
    assert (found == exact).float().mean() > 0.95


def test_lists_are_scored_as_predict_scores(prepared, pair):
    _, large = pair
    batch = first_rows(prepared.test, N_USERS)
    found = large.recommend(batch)
    batch["item_id"] = found.item_ids[:, 2]
    assert_close(large.predict(batch), found.log_probs[:, 2], rtol=1e-4, atol=1e-4)


def test_explanations_are_the_same(prepared, pair):
    small, large = pair
    batch = first_rows(prepared.test, N_USERS)
    expected, found = small.contributions(batch), large.contributions(batch)
    assert found.keys() == expected.keys()
    for name, gains in expected.items():
        assert_close(found[name], gains, rtol=1e-3, atol=1e-3)


def test_the_loss_is_that_of_all_items_on_average(prepared, pair):
    small, large = pair
    windows = first_rows(prepared.train, 60)
    for filtered in (False, True):
        small.filters_training = large.filters_training = filtered
        torch.manual_seed(0)
        losses = torch.stack([large.next_item_loss(windows) for _ in range(5)])
        assert losses.std() > 0
        expected = small.next_item_loss(windows).item()
        assert losses.mean().item() == pytest.approx(expected, rel=0.02)
    small.filters_training = large.filters_training = False


def test_both_heads_learn(prepared, pair):
    _, large = pair
    large.train().next_item_loss(first_rows(prepared.train, 16)).backward()
    parts = [large.item_head, large.item_vectors, large.text_head]
    for part in filter(None, parts):
        assert all(w.grad is not None and w.grad.abs().max() > 0 for w in part.parameters())
    large.zero_grad()
    large.eval()


def test_new_items_are_ranked_once_they_are_there(prepared, pair):
    """Cold items that join, with a bias; then items that come after training."""
    small, large = (make_again(prepared, model) for model in pair)
    batch = first_rows(prepared.test, N_USERS)
    cold = torch.tensor([4, 9, 33])
    for model in (small, large):
        model.cold_items = cold
        model._index_items()
    before = large.recommend(batch)
    same_lists(small.recommend(batch), before)
    assert not torch.isin(before.item_ids, cold).any()
    for model in (small, large):
        model.admit_new_items()
        model.new_item_bias = 4.0
    joined = large.recommend(batch)
    same_lists(small.recommend(batch), joined)
    assert torch.isin(joined.item_ids, cold).any()
    points = torch.randn(2, small.points.size(1))
    ids = torch.tensor([[7, 7, 7], [8, 8, 8]])[:, : small.semantic_ids.size(1)]
    for model in (small, large):
        model.new_item_bias = 0.0
        model.add_items([["red"], ["blue"]], ids, points)
    last = large.n_items - 1
    same_lists(small.recommend(batch), large.recommend(batch))
    batch["item_id"] = torch.full((N_USERS,), last)
    assert large.predict(batch).isfinite().all()


def make_again(prepared, model):
    changes = TOWER if model.text_head is not None else {}
    again = make_model(prepared, **changes, **(LARGE if model.draws_items else {}))
    again.load_state_dict(model.state_dict())
    return again.eval()


def test_own_vectors_are_hashed_beyond_a_size(prepared, monkeypatch):
    monkeypatch.setattr(large_catalogue, "OWN_ROWS", 24)
    model = make_model(prepared, **LARGE)
    assert model.item_vectors.own is None and len(model.item_vectors.shared.weight) == 24
    assert make_model(prepared, full_softmax_limit=60).item_vectors.shared is None
    model.next_item_loss(first_rows(prepared.train, 16)).backward()
    assert model.item_vectors.shared.weight.grad.abs().max() > 0
    again = make_model(prepared, **LARGE)
    again.load_state_dict(model.state_dict())
    batch = first_rows(prepared.test, N_USERS)
    assert torch.equal(
        again.eval().recommend(batch).item_ids, model.eval().recommend(batch).item_ids
    )
    model.cold_items = torch.tensor([5])
    model.admit_new_items()
    assert model.recommend(batch).log_probs[:, 0].isfinite().all()


def test_hashed_vectors_cannot_start_from_single_items(prepared, monkeypatch):
    monkeypatch.setattr(large_catalogue, "OWN_ROWS", 24)
    with pytest.raises(SettingsError, match="60 items share 24 own vectors.*to 60"):
        make_model(prepared, collaborative_start=1.0, **LARGE)
    assert not make_model(prepared, collaborative_start=1.0, full_softmax_limit=60).draws_items


def trained(prepared, n_drawn: int | None, **changes) -> dict:
    """Metrics on test after a few epochs, beyond the limit where items are drawn."""
    if n_drawn is not None:
        changes |= LARGE
    model = make_model(prepared, semantic_ids=False, **changes)
    if n_drawn is not None:
        model.all_items.sampler.n_drawn = n_drawn
    trainer = make_trainer(prepared, model, **changes)
    trainer.fit(prepared.train, prepared.valid, verbose=False, saved=True)
    return trainer.evaluate(prepared.test)


def test_what_is_learnt_from_some_items_is_what_all_would_teach(prepared, tmp_path, monkeypatch):
    monkeypatch.setenv("RECBOLE_STORE_CACHE", str(tmp_path))
    full = trained(prepared, None, epochs=3, item_head_share=1.0)
    sampled = trained(prepared, 24, epochs=3, item_head_share=1.0)
    assert full["ndcg@10"] > 0.4 and sampled["ndcg@10"] > full["ndcg@10"] - 0.05


def test_the_tower_s_stage_draws_items_as_well(prepared, tmp_path, monkeypatch):
    """And is another entry of the cache; below the limit its number says nothing."""
    monkeypatch.setenv("RECBOLE_STORE_CACHE", str(tmp_path))
    stage = {"tokenizer": "tower", "tokenizer_epochs": 20, "tokenizer_learning_rate": 0.01}
    losses, cached = {}, {}
    for limit in (10**5, 60, 20):
        changes = {**stage, "full_softmax_limit": limit}
        model = make_model(prepared, semantic_ids=False, **changes)
        make_trainer(prepared, model, **changes).tokenize_items(prepared.train.dataset)
        losses[limit] = model.tokenizer_report["tower_loss"]
        cached[limit] = model.tokenizer_report["tokenizer_cached"]
    assert cached == {10**5: False, 60: True, 20: False}
    assert losses[20] != losses[60] and losses[20] == pytest.approx(losses[60], rel=0.05)
