"""What the tokenizer's cache is keyed by, and STORE with tokenizers that read no dense tokens."""

from __future__ import annotations

import errno
import logging
import os
import pickle
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest
import torch
from planted_store import first_rows, make_model, make_trainer, prepare, store_settings, working_in
from scipy import sparse

from recbole_store.errors import NoCodesError, SettingsError
from recbole_store.llm.text_encoder import TextEncoder
from recbole_store.tokenizer import tensor_file
from recbole_store.tokenizer.cache import (
    QUANTIZER_KEYS,
    TEXT_KEYS,
    TOKENIZER_KEYS,
    fingerprint,
    one_at_a_time,
    read_cached,
    stage_keys,
)
from recbole_store.tokenizer.stage import TokenizerStage
from recbole_store.tokenizer.tensor_file import write


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
    tokenizer = model.item_tokenizer
    before = fingerprint(settings, tokenizer, None, None)
    assert fingerprint(dict(settings), tokenizer, None, None) == before
    changed = {**settings, key: "another"}
    assert fingerprint(changed, tokenizer, None, None) != before


@pytest.mark.parametrize("key", ["learner", "weight_decay", "warmup_steps", "clip_grad_norm"])
def test_what_steers_the_optimizer_counts(key):
    assert key in TOKENIZER_KEYS


def test_the_stage_can_read_no_setting_that_is_not_in_its_cache_s_key(prepared):
    """It is handed those settings alone: one that is left out of the key is a KeyError."""
    model = make_model(prepared, semantic_ids=False)
    trainer = make_trainer(prepared, model)
    read = ("tokenizer_epochs", "tokenizer_batch_size", "tokenizer_learning_rate", "seed")
    read += ("token_to_text_weight", "contrastive_weight", "collaborative_share", "pca_dim")
    for key in (*read, "codebook_size", "clip_grad_norm"):
        fewer = {k: prepared.config[k] for k in TOKENIZER_KEYS if k != key}
        stage = TokenizerStage(model.item_tokenizer, fewer, trainer._build_optimizer)
        together = sparse.csr_matrix(torch.ones(61, 61).numpy())
        with pytest.raises(KeyError, match=key):
            stage.run("planted", together, None, Counter())


def test_texts_precision_weights_and_histories_count(settings, model, monkeypatch):
    tokenizer = model.item_tokenizer

    def key(together=None) -> str:
        return fingerprint(settings, tokenizer, together, None)

    before = key()
    together = sparse.csr_matrix(torch.eye(3).numpy())
    assert key(together) != before
    assert key(2 * together) != key(together)
    with monkeypatch.context() as patch:
        patch.setattr(model.backbone, "bf16", True)
        assert key() != before
    with monkeypatch.context() as patch:
        patch.setattr(tokenizer, "fields", [*tokenizer.fields[:-1], ["another text"]])
        assert key() != before
    weight = next(model.backbone.llm.parameters())
    with torch.no_grad():
        weight.view(-1)[0] += 1
    assert key() != before
    assert key() == key()


# --- other tokenizers than the palette ------------------------------------------------------


def others(tiny_llm, name: str) -> dict:
    return {"tokenizer": name, "text_encoder": str(tiny_llm), "rqvae_epochs": 60}


@pytest.mark.parametrize("name", ["rqvae", "rqkmeans", "random"])
def test_each_setting_of_a_quantizer_counts_and_no_other(prepared, tiny_llm, name):
    tokenizer = make_model(prepared, **others(tiny_llm, name)).item_tokenizer
    encoder = None if name == "random" else TextEncoder(str(tiny_llm))
    keys = {*QUANTIZER_KEYS, *tokenizer.quantizer.keys, *(TEXT_KEYS if encoder else ())}
    assert set(stage_keys(name)) == keys
    settings = {key: prepared.config[key] for key in keys}
    before = fingerprint(settings, tokenizer, None, encoder)
    for key in settings:
        assert fingerprint({**settings, key: "another"}, tokenizer, None, encoder) != before, key
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokenizer, "fields", [*tokenizer.fields[:-1], ["another text"]])
        changed = fingerprint(settings, tokenizer, None, encoder)
        assert (changed != before) == (encoder is not None)
    if encoder is not None:
        with torch.no_grad():
            next(encoder.model.parameters()).view(-1)[0] += 1
        assert fingerprint(settings, tokenizer, None, encoder) != before


@pytest.mark.parametrize("name", ["rqvae", "rqkmeans"])
def test_store_on_codes_of_frozen_embeddings(prepared, tiny_llm, tmp_path, monkeypatch, name):
    """The ablation without the dense tokenizer: stage 1 trains nothing of the LLM's."""
    monkeypatch.setenv("RECBOLE_STORE_CACHE", str(tmp_path))
    changes = others(tiny_llm, name)
    model = make_model(prepared, semantic_ids=False, **changes)
    before = {key: weight.clone() for key, weight in model.named_parameters()}
    trainer = make_trainer(prepared, model, **changes)
    trainer.tokenize_items(prepared.train.dataset)
    assert all(torch.equal(weight, before[key]) for key, weight in model.named_parameters())
    assert torch.equal(
        model.item_tokenizer.tokenize(model.item_tokenizer.texts[1:]), model.semantic_ids[1:, :-1]
    )
    assert model.tokenizer_report["tokenizer"] == name
    assert model.tokenizer_report["explained_variance"] > 0.1
    assert model.calculate_loss(first_rows(prepared.train, 4)) > 0

    again = make_model(prepared, semantic_ids=False, **changes)
    make_trainer(prepared, again, **changes).tokenize_items(prepared.train.dataset)
    assert (
        again.tokenizer_report["tokenizer_cached"]
        and not trainer.model.tokenizer_report["tokenizer_cached"]
    )
    state = again.state_dict()
    assert all(torch.equal(part, state[key]) for key, part in model.named_buffers() if key in state)


def test_random_codes_read_no_text(prepared, tiny_llm, monkeypatch, tmp_path):
    monkeypatch.setenv("RECBOLE_STORE_CACHE", str(tmp_path))
    changes = {**others(tiny_llm, "random"), "text_encoder": "/no/such/encoder"}
    model = make_model(prepared, semantic_ids=False, **changes)
    trainer = make_trainer(prepared, model, **changes)
    trainer.tokenize_items(prepared.train.dataset)
    codes = model.semantic_ids.clone()
    assert len(codes[1:, :-1].unique(dim=0)) == 60
    # All texts the same: with the palette 60 items would not fit on one tuple of codes.
    monkeypatch.setattr(model.item_tokenizer, "texts", ["", *["the same"] * 60])
    monkeypatch.setenv("RECBOLE_STORE_CACHE", str(tmp_path / "another"))
    trainer.tokenize_items(prepared.train.dataset)
    assert torch.equal(model.semantic_ids, codes)
    with pytest.raises(NoCodesError):
        model.item_tokenizer.tokenize(["red circle"])


def test_a_codebook_of_the_usual_size(tiny_llm, planted, tmp_path):
    with working_in(tmp_path):
        prepared = prepare(store_settings(tiny_llm, planted, codebook_size=None))
        assert prepared.config["codebook_size"] == 16
        assert make_model(prepared).item_tokenizer.sizes == [16, 16, 16]


# --- the cache --------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "pickle", "other"])
def test_a_damaged_entry_is_named_and_made_again(damage, tmp_path, caplog):
    entry = tmp_path / "planted-0123.safetensors"
    write(entry, {"codes": torch.arange(100), "seconds": 1.5})
    content = bytearray(entry.read_bytes())
    content[-5] ^= 1
    damaged = {"flipped": bytes(content), "cut": content[:-9], "empty": b"", "other": b"else" * 99}
    entry.write_bytes(damaged.get(damage) or pickle.dumps({"codes": 1}))
    with caplog.at_level(logging.INFO):
        assert read_cached(entry) is None
    assert "planted-0123.safetensors is damaged" in caplog.text and not entry.exists()
    assert read_cached(entry) is None, "there is none"
    write(entry, {"codes": torch.arange(3)})
    assert read_cached(entry)["codes"].tolist() == [0, 1, 2]


MAKES = """
import sys, time
from pathlib import Path
import torch
from recbole_store.tokenizer import cache, tensor_file
cache.WAIT_S = 0.05
entry = Path(sys.argv[1])
with cache.one_at_a_time(entry):
    if cache.read_cached(entry) is None:
        with open("made", "a") as file:
            file.write("once ")
        time.sleep(0.5)
        tensor_file.write(entry, {"codes": torch.arange(3)})
"""


def test_two_processes_that_want_the_same_make_it_once(tmp_path):
    entry = tmp_path / "new folder" / "planted-0123.safetensors"
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "RECBOLE_STORE_REGISTER": "0"}
    command = [sys.executable, "-c", MAKES, str(entry)]
    both = [subprocess.Popen(command, env=environment, cwd=tmp_path) for _ in range(2)]
    assert [process.wait(120) for process in both] == [0, 0]
    assert (tmp_path / "made").read_text() == "once "


def test_a_cache_that_cannot_be_written_is_waited_for_by_nobody(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with one_at_a_time(tmp_path / "file" / "planted-0123.safetensors"):
        pass


@pytest.fixture
def closed(monkeypatch):
    """``closed(folder)``: nobody can write there; where tests are the system's root, who may."""

    def close(folder: Path) -> None:
        for path in folder.glob("*.lock"):
            path.unlink()
            path.mkdir()  # which cannot be opened for writing
        for module, name in ((tempfile, "TemporaryFile"), (tensor_file, "write"), (Path, "unlink")):
            refuse_in(folder, module, name)

    def refuse_in(folder: Path, module, name: str) -> None:
        real = getattr(module, name)

        def refuse(*args, **kwargs):
            place = Path(kwargs.get("dir") or args[0])
            if place.is_relative_to(folder):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(place))
            return real(*args, **kwargs)

        monkeypatch.setattr(module, name, refuse)

    return close


def run_stage(prepared, folder: Path, monkeypatch) -> dict:
    monkeypatch.setenv("RECBOLE_STORE_CACHE", str(folder))
    model = make_model(prepared, semantic_ids=False)
    trainer = make_trainer(prepared, model)
    trainer.tokenize_items(prepared.train.dataset)
    return model.tokenizer_report | {"ids": model.semantic_ids.tolist()}


def test_a_cache_that_cannot_be_written_is_read(prepared, closed, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    made = run_stage(prepared, cache, monkeypatch)
    closed(cache / "tokenizers")
    read = run_stage(prepared, cache, monkeypatch)
    assert (made["tokenizer_cached"], read["tokenizer_cached"]) == (False, True)
    assert read["ids"] == made["ids"]


@pytest.mark.parametrize("state", ["missing", "damaged"])
def test_one_that_lacks_the_entry_is_told_before_it_is_made(
    prepared, closed, tmp_path, monkeypatch, state
):
    cache = tmp_path / "cache"
    run_stage(prepared, cache, monkeypatch)
    (entry,) = (cache / "tokenizers").glob("*.safetensors")
    if state == "damaged":
        entry.write_bytes(entry.read_bytes()[:-9])
    else:
        entry.unlink()
    monkeypatch.setattr(TokenizerStage, "_make", lambda *_: pytest.fail("must not be made"))
    closed(cache / "tokenizers")
    with pytest.raises(SettingsError, match=r"cache/tokenizers: Permission.*RECBOLE_STORE"):
        run_stage(prepared, cache, monkeypatch)
