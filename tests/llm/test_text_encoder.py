"""Frozen text embeddings: mean pooling, whatever is beside a text, and which encoders are taken."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch.testing import assert_close
from transformers import (
    AutoModel,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertModel,
    T5Config,
    T5EncoderModel,
    T5Model,
)

from recbole_store.errors import BackboneError
from recbole_store.llm import text_encoder
from recbole_store.llm.text_encoder import TextEncoder, text_width

TEXTS = ["red circle", "The item : green star cube ring", "blue", ""]


@pytest.fixture(scope="module")
def encoder(tiny_llm) -> TextEncoder:
    return TextEncoder(str(tiny_llm))


def test_an_embedding_is_the_normalised_mean_of_the_last_states(encoder, tiny_llm):
    model, tokenizer = AutoModel.from_pretrained(tiny_llm), AutoTokenizer.from_pretrained(tiny_llm)
    found = encoder(TEXTS, 64)
    assert found.shape == (4, text_width(str(tiny_llm)))
    for text, embedding in zip(TEXTS[:3], found, strict=False):
        words = torch.tensor([tokenizer(text)["input_ids"]])
        mean = model(input_ids=words).last_hidden_state[0].mean(0)
        assert_close(embedding, F.normalize(mean, dim=0).detach(), rtol=1e-4, atol=1e-5)
    assert_close(found.norm(dim=1), torch.ones(4))


def test_texts_in_one_pass_do_not_disturb_each_other(encoder, monkeypatch):
    together = encoder(TEXTS, 64)
    monkeypatch.setattr(text_encoder, "TEXTS_PER_PASS", 1)
    assert_close(encoder(TEXTS, 64), together, rtol=1e-4, atol=1e-5)


def test_texts_are_cut(encoder):
    assert_close(encoder(["red circle green star"], 2), encoder(["red circle"], 64))


def test_the_encoder_is_frozen(encoder):
    assert not any(weight.requires_grad for weight in encoder.model.parameters())
    assert not encoder.model.training


def test_of_an_encoder_decoder_the_encoder_reads(tiny_llm, tmp_path):
    T5Model(
        T5Config(vocab_size=60, d_model=16, d_kv=4, d_ff=32, num_layers=1, num_heads=2)
    ).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_llm).save_pretrained(tmp_path)
    assert TextEncoder(str(tmp_path))(TEXTS, 64).shape == (4, 16)


def test_encoders_are_told_apart(encoder, tiny_llm):
    other = TextEncoder(str(tiny_llm))
    assert other.digest() == encoder.digest()
    with torch.no_grad():
        next(other.model.parameters()).view(-1)[0] += 1
    assert other.digest() != encoder.digest()


def with_pooling(tiny_llm, folder, **modes):
    shutil.copytree(tiny_llm, folder)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(modes))
    return str(folder)


def test_sentence_transformers_pooling_is_respected(tiny_llm, tmp_path):
    mean = {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True}
    assert text_width(with_pooling(tiny_llm, tmp_path / "mean", **mean)) == 32
    first = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    with pytest.raises(BackboneError, match="pools by pooling_mode_cls_token") as error:
        text_width(with_pooling(tiny_llm, tmp_path / "first", **first))
    assert "`text_encoder`" in str(error.value)


@pytest.mark.parametrize("load", [TextEncoder, text_width])
def test_what_is_no_encoder_is_refused_in_one_sentence(load, tmp_path):
    with pytest.raises(BackboneError, match="Cannot load the text encoder") as error:
        load(str(tmp_path))
    message = str(error.value)
    assert "\n" not in message and str(tmp_path) in message and "all-minilm-l6-v2" in message


def test_none_is_the_default_llm(tiny_llm, monkeypatch):
    asked = []

    def locate(name, convert):
        asked.append(name)
        return str(tiny_llm)

    monkeypatch.setattr(text_encoder, "locate", locate)
    assert text_width(None) == 32 and asked == ["smollm2-135m"]


# Weights


def bert(tiny_llm, folder, kind, change=None):
    """A small BERT saved as ``kind`` does, with changed weights."""
    config = BertConfig(
        vocab_size=60,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
    )
    kind(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_llm).save_pretrained(folder)
    if change:
        file = folder / "model.safetensors"
        save_file(change(load_file(file)), file, {"format": "pt"})
    return str(folder)


@pytest.mark.parametrize("kind", [BertModel, BertForMaskedLM, BertForSequenceClassification])
def test_an_encoder_may_come_with_a_head_or_without_a_pooler(tiny_llm, tmp_path, kind):
    """And what is not read changes nothing: not the embeddings, nor the encoder's digest."""
    folder = bert(tiny_llm, tmp_path, kind)
    first, second = TextEncoder(folder), TextEncoder(folder)
    assert torch.equal(first(TEXTS, 64), second(TEXTS, 64))
    assert first.digest() == second.digest()


@pytest.mark.parametrize("kind", [BertModel, BertForMaskedLM])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda w: {n: v for n, v in w.items() if "layer.1." not in n}, "16 missing"),
        (lambda w: {f"net.{n}": v for n, v in w.items()}, "missing"),
        (
            lambda w: {**w, **{n.replace("layer.1", "layer.2"): v + 0 for n, v in w.items()}},
            "16 left over",
        ),
        (
            lambda w: {n: v[:, :16].clone() if "query.weight" in n else v for n, v in w.items()},
            "2 misshaped",
        ),
    ],
)
def test_encoders_whose_weights_do_not_fit_are_refused(tiny_llm, tmp_path, kind, change, words):
    with pytest.raises(BackboneError, match=f"do not fit its config.json: .*{words}") as error:
        TextEncoder(bert(tiny_llm, tmp_path, kind, change))
    assert str(tmp_path) in str(error.value) and "\n" not in str(error.value)


def test_of_an_encoder_decoder_the_decoder_may_lack(tiny_llm, tmp_path):
    """As sentence-transformers saves T5."""
    config = T5Config(vocab_size=60, d_model=16, d_kv=4, d_ff=32, num_layers=1, num_heads=2)
    T5EncoderModel(config).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_llm).save_pretrained(tmp_path)
    assert TextEncoder(str(tmp_path)).digest() == TextEncoder(str(tmp_path)).digest()
    file = tmp_path / "model.safetensors"
    lacking = {n: w for n, w in load_file(file).items() if "SelfAttention.q" not in n}
    save_file(lacking, file, {"format": "pt"})
    with pytest.raises(BackboneError, match="1 missing"):
        TextEncoder(str(tmp_path))


def test_every_weight_is_in_the_digest(tiny_llm):
    encoder = TextEncoder(str(tiny_llm))
    before, weight = encoder.digest(), encoder.model.embed_tokens.weight
    with torch.no_grad():
        weight.view(-1)[weight.numel() // 2 + 1] += 1
    assert encoder.digest() != before
