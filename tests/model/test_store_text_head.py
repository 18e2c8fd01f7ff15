"""STORE on a text tower: its stage, its head, and items that no training has seen."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from planted_store import (
    each_target,
    first_rows,
    histories_of,
    make_model,
    make_trainer,
    prepare,
    store_settings,
    working_in,
)
from torch.testing import assert_close

from recbole_store.generator.company import likeness_to_history
from recbole_store.model import store
from recbole_store.model.store import TEXT_SHARE
from recbole_store.tokenizer.quantizers.base import TOWER_VECTOR

TOWER = {
    "tokenizer": "tower",
    "n_slots": 2,
    "tokenizer_epochs": 30,
    "tokenizer_learning_rate": 0.01,
    "item_head_weight": 1.0,
    "item_vector_size": 16,
    "text_head_weight": 1.0,
    "together_weight": 2.0,
    "likeness_weight": 1.0,
}


@pytest.fixture(scope="module")
def prepared(tiny_llm, planted, tmp_path_factory):
    with working_in(tmp_path_factory.mktemp("text_head")):
        yield prepare(store_settings(tiny_llm, planted, **TOWER))


@pytest.fixture(scope="module")
def tokenized(prepared, tmp_path_factory):
    """Model and trainer after stage 1, validated by the probe."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECBOLE_STORE_CACHE", str(tmp_path_factory.mktemp("cache")))
        model = make_model(prepared, semantic_ids=False)
        trainer = make_trainer(prepared, model)
        trainer.tokenize_items(prepared.train.dataset, prepared.valid)
        return model, trainer


def test_the_tower_beats_words_where_what_follows_is_another_text(tokenized):
    """The next item has another shape: words in common say the colour, the tower the successor."""
    model, _ = tokenized
    probe = model.tokenizer_report["probe"]
    assert model.item_tokenizer.reads == TOWER_VECTOR
    assert set(probe) == {"words", "tower", "points", "codes"}
    assert model.tokenizer_report["tower_loss"] < 0.7 * model.tokenizer_report["chance_loss"]


def test_texts_lead_to_the_items_codes(tokenized):
    tokenizer = tokenized[0].item_tokenizer
    assert torch.equal(tokenizer.tokenize(tokenizer.texts[1:]), tokenizer.semantic_ids[1:, :-1])
    assert_close(
        tokenizer.features(tokenizer.texts[1:4]), tokenizer.points[1:4], rtol=1e-3, atol=1e-3
    )


def by_text_of(model, states: torch.Tensor, pooled: torch.Tensor) -> torch.Tensor:
    """The text head's logits of all items, -inf for padding."""
    queries = model.text_head.queries(pooled, states)
    logits = model.text_head.logits(queries, model.text_head.items(model.points))
    return logits.masked_fill(~model._is_known(), -torch.inf)


def test_the_text_head_starts_as_the_tower(tokenized):
    model, _ = tokenized
    model.eval()
    item_seq = torch.tensor([[3, 8, 5]])
    pooled = model.text_head.pooled(model.points, item_seq)[:, -1]
    states = torch.randn(1, model.backbone.hidden_size)
    tower = model.item_tokenizer.tower
    expected = tower.logits(tower.queries(pooled), tower.items(model.points))
    found = by_text_of(model, states, pooled)
    assert found[0, 0] == -torch.inf
    assert_close(found[:, 1:], expected[:, 1:])


def test_heads_and_gains_are_weighed_as_the_settings_say(prepared, tokenized, monkeypatch):
    model, _ = tokenized
    monkeypatch.setattr(store, "FEW_ITEMS", 0)
    model.eval()
    batch = first_rows(prepared.valid, 4)
    decoder = model.decoder(batch)
    states = decoder.history_end[:, 0]
    histories, _ = histories_of(prepared.valid, 4)
    pooled = torch.stack(
        [model.text_head.pooled(model.points, torch.tensor([h]))[0, -1] for h in histories]
    )
    is_none = ~model._is_known()
    by_id = model.item_head(states, model.item_vectors(model.points), is_none).log_softmax(-1)
    by_text = by_text_of(model, states, pooled).log_softmax(-1)
    company = model.company(batch["item_id_list"], batch["item_length"])
    alike = likeness_to_history(
        model.text_head.items(model.points), batch["item_id_list"], batch["item_length"]
    )
    total = (1 - TEXT_SHARE) * by_id + TEXT_SHARE * by_text + 2 * company + alike
    with torch.no_grad():
        found = model._score_items(decoder).by_item
    assert_close(found[:, 1:], total.log_softmax(-1)[:, 1:], rtol=1e-4, atol=1e-4)


def test_texts_of_few_items_are_alike_by_the_states_of_the_llm(prepared, tokenized, monkeypatch):
    model, _ = tokenized
    model.eval()
    batch = first_rows(prepared.valid, 4)
    decoder = model.decoder(batch)
    histories = (batch["item_id_list"], batch["item_length"])
    with torch.no_grad():
        by_states = model._score_items(decoder).by_item
        monkeypatch.setattr(store, "FEW_ITEMS", 0)
        by_tower = model._score_items(decoder).by_item
    unit = F.normalize(model.points, dim=-1)
    change = likeness_to_history(unit, *histories)
    change = change - likeness_to_history(model.text_head.items(model.points), *histories)
    expected = (by_tower + change)[:, 1:].log_softmax(-1)
    assert_close(by_states[:, 1:], expected, rtol=1e-4, atol=1e-4)
    assert (by_tower - by_states)[:, 1:].abs().max() > 0.01


def test_new_items_gain_by_the_states_of_the_llm(prepared, tokenized, monkeypatch):
    """Beside what all gain by the tower, and beside their bias."""
    model, _ = tokenized
    monkeypatch.setattr(store, "FEW_ITEMS", 0)
    monkeypatch.setattr(model, "likeness_weight", 3.0)
    model.eval()
    batch = first_rows(prepared.valid, 4)
    decoder = model.decoder(batch)
    new = torch.tensor([7, 20, 41])
    with torch.no_grad():
        before = model._score_items(decoder).by_item
        monkeypatch.setattr(model, "cold_items", new)
        monkeypatch.setattr(model, "has_joined", True)
        monkeypatch.setattr(model, "new_item_bias", 0.5)
        model.eval()
        after = model._score_items(decoder).by_item
    unit = F.normalize(model.points, dim=-1)
    alike = likeness_to_history(unit, batch["item_id_list"], batch["item_length"])
    gain = torch.zeros_like(before)
    gain[:, new] = 3.0 * alike[:, new] + 0.5
    assert_close(after[:, 1:], (before + gain)[:, 1:].log_softmax(-1), rtol=1e-4, atol=1e-4)
    assert alike[:, new].abs().max() > 0.01


@pytest.mark.parametrize("few_items", [0, 3_000])
def test_an_explanation_s_parts_add_up_to_the_heads_score(
    prepared, tokenized, monkeypatch, few_items
):
    """To what an item has above the mean item, whatever its texts are alike by."""
    model, _ = tokenized
    monkeypatch.setattr(store, "FEW_ITEMS", few_items)
    monkeypatch.setattr(model, "last_item_weight", 2.0)
    batch = first_rows(prepared.valid, 6)
    with torch.no_grad():
        for change in (0.0, 0.3):  # means of other weights must not be kept
            model.item_vectors.own.weight[5:] += change * torch.randn(16)
            model.train().eval()
            parts = model.contributions(batch)
            codes = parts.pop("codes")
            scores = model._score_items(model.decoder(batch)).by_item
            of_items = scores.gather(1, batch["item_id"][:, None]).squeeze(1)
            expected = model.item_head_share * (of_items - scores[:, 1:].mean(1))
            assert_close(sum(parts.values()), expected, rtol=1e-4, atol=1e-4)
            assert set(parts) == {"text", "id", "last item", "company"} and codes.isfinite().all()


def test_both_heads_learn(prepared, tokenized):
    model, trainer = tokenized
    trainer._begin_recommender(prepared.train)
    model.train()
    loss = model.next_item_loss(first_rows(prepared.train, 16))
    loss.backward()
    for part in (model.text_head, model.item_head, model.item_vectors):
        assert any(w.grad is not None and w.grad.abs().max() > 0 for w in part.parameters())
    assert all(w.grad is None for w in model.item_tokenizer.tower.parameters())
    model.zero_grad()


def test_a_cached_stage_is_the_same(prepared, tokenized, tmp_path, monkeypatch):
    monkeypatch.setenv("RECBOLE_STORE_CACHE", str(tmp_path))
    found = []
    for _ in range(2):
        model = make_model(prepared, semantic_ids=False)
        make_trainer(prepared, model).tokenize_items(prepared.train.dataset)
        found.append(model)
    first, again = found
    assert again.tokenizer_report["tokenizer_cached"]
    for name, tensor in first.item_tokenizer.state_dict().items():
        assert torch.equal(tensor, again.item_tokenizer.state_dict()[name]), name
    for name, tensor in first.text_head.state_dict().items():
        assert torch.equal(tensor, again.text_head.state_dict()[name]), name


def test_the_text_head_s_loss_is_that_of_every_target_among_known_items(prepared):
    model = make_model(prepared)
    model.item_tokenizer.set_points(torch.randn(model.n_items - 1, model.points.size(1)))
    windows = first_rows(prepared.train, 20)
    there = torch.cat([windows["item_id_list"].flatten(), windows["item_id"]])
    others = torch.tensor([i for i in range(1, model.n_items) if i not in there.tolist()])
    assert len(others) >= 3
    model.cold_items = others[:3]  # no candidates
    model.eval()  # without dropout
    losses = []
    for weight in (0.0, 1.0, 3.0):
        model.text_head_weight = weight
        losses.append(model.next_item_loss(windows).item())
    total = 0.0
    for row, target in each_target(model, prepared.train, 20):
        history = row["item_id_list"][:, : int(row["item_length"])]
        pooled = model.text_head.pooled(model.points, history)[:, -1]
        logits = by_text_of(model, model.decoder(row).history_end[:, 0], pooled)
        total += F.cross_entropy(logits, torch.tensor([target])).item()
    expected = total / (20 * model.targets_per_row)
    assert losses[1] - losses[0] == pytest.approx(expected, rel=1e-4)
    assert losses[2] - losses[0] == pytest.approx(3 * expected, rel=1e-4)
