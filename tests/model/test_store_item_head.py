"""STORE with its item head: one score of an item by whichever route, and what is learnt."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from planted_store import (
    each_target,
    first_rows,
    histories_of,
    make_model,
    prepare,
    store_settings,
    working_in,
)
from torch.testing import assert_close

from recbole_store.generator.like_items import like_by_vectors

N_USERS = 12


@pytest.fixture(scope="module")
def prepared(tiny_llm, planted, tmp_path_factory):
    with working_in(tmp_path_factory.mktemp("head")):
        changes = {"item_vector_size": 16, "item_head_weight": 1.0, "item_head_share": 0.6}
        yield prepare(store_settings(tiny_llm, planted, **changes, num_beams=60))


@pytest.fixture(scope="module")
def model(prepared):
    model = make_model(prepared)
    model.item_tokenizer.set_points(torch.randn(model.n_items - 1, model.points.size(1)))
    with torch.no_grad():  # scores that differ
        model.item_vectors.own.weight.normal_()
        model.item_input.weight.normal_()
    return model.eval()


def every_score(model, batch) -> torch.Tensor:
    """Scores of items 1 to N by ``predict``, [B, N]."""
    columns = []
    for item in range(1, model.n_items):
        rows = batch[torch.arange(len(batch))]
        rows["item_id"] = torch.full((len(batch),), item)
        columns.append(model.predict(rows))
    return torch.stack(columns, dim=1)


@pytest.fixture(params=[None, 5.0])
def last_item_weight(request, model):
    model.last_item_weight = request.param
    yield request.param
    model.last_item_weight = None


def test_wide_search_ranks_as_predict_does(prepared, model, last_item_weight):
    batch = first_rows(prepared.test, N_USERS)
    scores, items = every_score(model, batch).sort(dim=1, descending=True)
    found = model.recommend(batch)
    assert torch.equal(found.item_ids, items + 1)
    assert_close(found.log_probs, scores, rtol=1e-4, atol=1e-4)


def test_hidden_items_are_refilled(prepared, model):
    batch = first_rows(prepared.test, N_USERS)
    plain = model.recommend(batch).item_ids
    rows = torch.arange(N_USERS).repeat_interleave(3)
    found = model.recommend(batch, (rows, plain[:, :3].flatten())).item_ids
    assert torch.equal(found[:, :57], plain[:, 3:])
    assert not found[:, 57:].any()


def test_items_like_the_last_one_gain_by_their_cosine(prepared, model):
    """The item head alone, so that nothing else is in the scores but what users share."""
    batch = first_rows(prepared.test, N_USERS)
    vectors = F.normalize(model.item_vectors(model.points)[1:], dim=-1)
    last = torch.tensor([items[-1] for items in histories_of(prepared.test, N_USERS)[0]])
    model.item_head_share = 1.0
    try:
        before = every_score(model, batch)
        model.last_item_weight = 5.0
        gained = every_score(model, batch) - before
    finally:
        model.item_head_share, model.last_item_weight = 0.6, None
    expected = 5 * vectors[last - 1] @ vectors.T
    normalised = [part - part.mean(1, keepdim=True) for part in (gained, expected)]
    assert_close(*normalised, rtol=1e-3, atol=1e-3)
    assert expected.std() > 0.1


def test_the_last_item_s_weight_is_no_part_of_training(prepared, model, last_item_weight):
    windows = first_rows(prepared.train, 20)
    loss = model.next_item_loss(windows)
    model.last_item_weight = None
    assert torch.equal(loss, model.next_item_loss(windows))


def test_without_a_share_of_the_head_the_codes_alone_rank(prepared, model):
    batch = first_rows(prepared.test, N_USERS)
    alone = make_model(prepared, item_head_weight=0.0)
    alone.load_state_dict(model.state_dict(), strict=False)
    model.item_head_share = 0.0
    try:
        assert torch.equal(model.recommend(batch).item_ids, alone.eval().recommend(batch).item_ids)
        assert_close(model.predict(batch), alone.predict(batch))
    finally:
        model.item_head_share = 0.6


def by_item(model, states: torch.Tensor) -> torch.Tensor:
    """The item head's logits of all items, by states [B, H]."""
    return model.item_head(states, model.item_vectors(model.points), ~model._is_known())


@pytest.mark.parametrize("filtered", [False, True])
def test_the_loss_is_that_of_every_target_by_itself(prepared, model, filtered):
    windows = first_rows(prepared.train, 20)
    codes = make_model(prepared, item_head_weight=0.0)
    codes.load_state_dict(model.state_dict(), strict=False)
    model.filters_training = filtered
    by_head = model.next_item_loss(windows) - codes.eval().next_item_loss(windows)
    model.filters_training = False
    total = 0.0
    for row, target in each_target(model, prepared.train, 20):
        logits = by_item(model, model.decoder(row).history_end[:, 0])
        if filtered:
            logits[0, list(set(row["item_id_list"][0].tolist()) - {0, target})] = -torch.inf
        total += F.cross_entropy(logits, torch.tensor([target])).item()
    assert by_head.item() == pytest.approx(total / (20 * model.targets_per_row), rel=1e-4)


@pytest.mark.parametrize("history", [False, True])
def test_training_is_filtered_as_rankings_are(prepared, history):
    """Whatever SASRecAll of the same comparison is told by `filter_training`."""
    for training in (None, True, False):
        changes = {"filter_history": history, "filter_training": training}
        assert make_model(prepared, **changes).filters_training is history


def test_the_llm_reads_an_item_s_vector_behind_its_last_code(prepared, model):
    """And there alone."""
    batch = first_rows(prepared.train, 4)
    codes, items = model._history_codes(batch), batch["item_id_list"]
    before = model.read_items(codes, items)
    vectors = model.item_input(model.item_vectors(model.points, items))
    assert_close(before[..., :-1, :], model.code_tokens(codes)[..., :-1, :])
    assert_close(before[..., -1, :], model.code_tokens(codes)[..., -1, :] + vectors)
    without = make_model(prepared, item_head_weight=0.0, item_vector_size=None)
    without.load_state_dict(model.state_dict(), strict=False)
    assert torch.equal(without.read_items(codes, items), model.code_tokens(codes))


def test_cold_items_are_scored_once_they_join(prepared):
    model = make_model(prepared)
    model.item_tokenizer.set_points(torch.randn(model.n_items - 1, model.points.size(1)))
    model.cold_items = torch.tensor([4, 9])
    states = torch.randn(3, model.backbone.hidden_size)
    known = torch.tensor([i for i in range(1, model.n_items) if i not in (4, 9)])
    vectors = copy.deepcopy(model.item_vectors)
    vectors.take_from(model.cold_items, like_by_vectors(model.points, model.cold_items, known))
    before = by_item(model, states)
    model.admit_new_items()
    assert_close(model.item_vectors.own.weight, vectors.own.weight)
    after = by_item(model, states)
    assert (before[:, [0, 4, 9]] == -torch.inf).all() and (after[:, 0] == -torch.inf).all()
    assert after[:, 1:].isfinite().all()
    assert_close(before[:, 5:9], after[:, 5:9])


def test_codes_alone_have_no_item_vectors(prepared):
    model = make_model(prepared, item_vector_size=None, item_head_weight=0.0)
    assert model.item_vectors is None and model.item_head is None
    parts = ("item_vectors.", "item_input.", "item_head.")
    assert not any(name.startswith(parts) for name, _ in model.named_parameters())


def test_one_dropout_is_that_of_inputs_and_half_that_of_layers_and_vectors(prepared):
    model = make_model(prepared, dropout=0.4)
    assert model.code_dropout.p == 0.4
    assert model.backbone.hidden_dropout == model.item_vectors.own_dropout == 0.2
    assert make_model(prepared, dropout=0.0).backbone.hidden_dropout == 0
