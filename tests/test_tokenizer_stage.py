"""What the tokenizer's cache is keyed by: everything that its result depends on."""

from __future__ import annotations

import pytest
import torch
from planted_store import make_model, prepare, store_settings, working_in
from scipy import sparse

from recbole_store.tokenizer_stage import TOKENIZER_KEYS, fingerprint


@pytest.fixture(scope="module")
def prepared(tiny_llm, planted, tmp_path_factory):
    with working_in(tmp_path_factory.mktemp("stage")):
        yield prepare(store_settings(tiny_llm, planted))


@pytest.fixture(scope="module")
def model(prepared):
    return make_model(prepared)


@pytest.fixture
def settings(prepared) -> dict:
    return {key: prepared.config[key] for key in TOKENIZER_KEYS}


@pytest.mark.parametrize("key", TOKENIZER_KEYS)
def test_each_setting_counts(settings, model, key):
    assert fingerprint(settings, model, None) == fingerprint(dict(settings), model, None)
    changed = {**settings, key: "another"}
    assert fingerprint(changed, model, None) != fingerprint(settings, model, None)


@pytest.mark.parametrize("key", ["learner", "weight_decay", "warmup_steps", "clip_grad_norm"])
def test_what_steers_the_optimizer_counts(key):
    assert key in TOKENIZER_KEYS


def test_texts_precision_weights_and_histories_count(settings, model, monkeypatch):
    before = fingerprint(settings, model, None)
    together = sparse.csr_matrix(torch.eye(3).numpy())
    assert fingerprint(settings, model, together) != before
    assert fingerprint(settings, model, 2 * together) != fingerprint(settings, model, together)
    for name in ("bf16", "eval_bf16"):
        with monkeypatch.context() as patch:
            patch.setattr(model.backbone, name, True)
            assert fingerprint(settings, model, None) != before
    with monkeypatch.context() as patch:
        patch.setattr(model, "pieces", [*model.pieces[:-1], ["another text"]])
        assert fingerprint(settings, model, None) != before
    weight = next(model.backbone.llm.parameters())
    with torch.no_grad():
        weight.view(-1)[0] += 1
    assert fingerprint(settings, model, None) != before
    assert fingerprint(settings, model, None) == fingerprint(settings, model, None)
