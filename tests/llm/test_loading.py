"""A backbone is loaded whole, or refused in one sentence that says what does not fit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BertConfig,
    BertLMHeadModel,
    GPT2Config,
    GPT2LMHeadModel,
    GPT2Model,
    PreTrainedModel,
)

from recbole_store.errors import BackboneError
from recbole_store.llm.loading import load
from recbole_store.llm.saving import save_whole
from recbole_store.llm.text_encoder import TextEncoder

NORM = "model.layers.0.input_layernorm.weight"
LAYER = "model.layers.1."


@pytest.fixture
def copied(tiny_llm, tmp_path):
    """``copied(weights, config, **more)`` -> folder of the tiny LLM with changed weights or config.

    ``weights`` gets the weights by name and returns others; ``config`` holds changed keys.
    """

    def make(weights=None, config=None) -> Path:
        folder = tmp_path / "changed"
        shutil.copytree(tiny_llm, folder)
        file = folder / "model.safetensors"
        if weights:
            found = weights(load_file(file))
            save_file({n: w.contiguous() for n, w in found.items()}, file, {"format": "pt"})
        if config:
            known = json.loads((folder / "config.json").read_text())
            (folder / "config.json").write_text(json.dumps({**known, **config}))
        return folder

    return make


def refusal(read, folder, *more) -> str:
    with pytest.raises(BackboneError) as error:
        read(str(folder), *more)
    message = str(error.value)
    assert "\n" not in message and str(folder) in message and message.endswith(".")
    return message


def without(word: str):
    return lambda weights: {n: w for n, w in weights.items() if word not in n}


# What is done to the weights or to config.json -> words that the sentence must hold.
UNFIT = {
    "a prefix": (
        lambda weights: {f"module.{n}": w for n, w in weights.items()},
        {},
        ["21 missing (lm_head.weight, model.embed_tokens", "20 left over (module.model.embed"],
    ),
    "a layer lacks": (without(LAYER), {}, [f"9 missing ({LAYER}"]),
    "one weight lacks": (without(NORM), {}, [f"1 missing ({NORM})"]),
    "one weight more": (
        lambda weights: {**weights, "score.weight": torch.zeros(2)},
        {},
        ["1 left over (score.weight)"],
    ),
    "a layer more than config.json says": (
        None,
        {"num_hidden_layers": 1},
        [f"9 left over ({LAYER}"],
    ),
    "another width": (
        None,
        {"hidden_size": 64},
        ["misshaped", "model.layers.0.input_layernorm.weight [32] instead of [64]"],
    ),
    "another vocabulary": (None, {"vocab_size": 900}, ["1 misshaped (model.embed_tokens.weight"]),
    "another architecture": (None, {"model_type": "qwen3"}, ["4 missing", "self_attn.q_norm"]),
}


@pytest.mark.parametrize("case", UNFIT)
def test_weights_that_do_not_fit_are_named(copied, case):
    """transformers would fill them with random numbers, or leave them out, and go on."""
    weights, config, words = UNFIT[case]
    message = refusal(load, copied(weights, config), None)
    assert all(word in message for word in words), message


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_no_numbers_are_refused(copied, bad):
    def spoil(weights):
        weights[NORM][3] = bad
        return weights

    folder = copied(spoil)
    message = refusal(load, folder, None)
    assert f"1 of the weights of the backbone `{folder}` hold NaN or infinity ({NORM})" in message
    assert f"of the text encoder `{folder}` hold NaN" in refusal(TextEncoder, folder)


@pytest.mark.parametrize("n_layers", [1, 2, None])
def test_layers_that_are_cut_are_not_left_over(tiny_llm, n_layers):
    llm, _ = load(str(tiny_llm), n_layers)
    assert llm.config.num_hidden_layers == (n_layers or 2)


@pytest.mark.parametrize("model", [GPT2LMHeadModel, GPT2Model])
def test_cut_layers_by_other_names(tiny_llm, tmp_path, model):
    """GPT-2's files have its weights with and without a prefix, and call a layer ``h``."""
    config = GPT2Config(vocab_size=60, n_positions=64, n_embd=16, n_layer=12, n_head=2)
    model(config).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_llm).save_pretrained(tmp_path)
    llm, _ = load(str(tmp_path), 3)
    there = load_file(tmp_path / "model.safetensors")
    for name, weight in llm.transformer.state_dict().items():
        assert torch.equal(weight, there.get(name, there.get(f"transformer.{name}"))), name


def test_weights_that_a_cut_layer_would_have_needed_are_not_missed(copied):
    load(str(copied(without(LAYER))), 1)


DAMAGE = {
    "cut": lambda file: file.write_bytes(file.read_bytes()[:-100]),
    "cut in its first bytes": lambda file: file.write_bytes(file.read_bytes()[:20]),
    "empty": lambda file: file.write_bytes(b""),
    "random": lambda file: file.write_bytes(bytes(range(256)) * 9),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"]
)
@pytest.mark.parametrize("read", [lambda folder: load(folder, None), TextEncoder])
def test_a_damaged_file_is_named(copied, name, damage, read):
    folder = copied()
    DAMAGE[damage](folder / name)
    assert f"{folder / name} is damaged; fetch or save the model again" in refusal(read, folder)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_file_that_lacks(copied, name):
    folder = copied()
    (folder / name).unlink()
    refusal(load, folder, None)


@pytest.mark.parametrize(
    "config",
    [
        {"num_attention_heads": 0},
        {"num_attention_heads": "many"},
        {"hidden_act": "nonsense"},
        {"num_hidden_layers": None},
        {"model_type": "nonsense"},
        {"model_type": "t5"},
    ],
)
def test_an_impossible_configuration(copied, config):
    assert "must be a causal LM" in refusal(load, copied(config=config), None)


def test_an_encoder_is_no_backbone(tiny_llm, tmp_path):
    """BERT reads on in both directions: it would see the item that it is to predict."""
    config = BertConfig(
        vocab_size=60,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
    )
    BertLMHeadModel(config).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_llm).save_pretrained(tmp_path)
    assert "is not causal" in refusal(load, tmp_path, None)
    TextEncoder(str(tmp_path))


@pytest.mark.parametrize("read", [lambda folder: load(folder, None), TextEncoder])
def test_the_tokenizer_of_a_larger_model_is_refused(copied, read):
    folder = copied(
        lambda weights: {n: w[:20] if "embed" in n else w for n, w in weights.items()},
        {"vocab_size": 20},
    )
    assert "tokens, but the model has vectors for 20" in refusal(read, folder)


def test_a_tokenizer_without_an_end_of_text(copied):
    folder = copied()
    (folder / "tokenizer_config.json").unlink()
    assert "set `eos_token`" in refusal(load, folder, None)


EVIL = "from pathlib import Path\nPath({!r}).write_text('ran')\n"


@pytest.mark.parametrize("read", [lambda folder: load(folder, None), TextEncoder])
def test_a_model_s_own_code_is_never_run_nor_asked_about(copied, read, monkeypatch, tmp_path):
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked on the terminal"))
    classes = {"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M", "AutoModel": "evil.M"}
    folder = copied(config={"model_type": "mine", "auto_map": classes})
    (folder / "evil.py").write_text(EVIL.format(str(tmp_path / "ran")))
    assert "code of its own, which is never run" in refusal(read, folder)
    assert not (tmp_path / "ran").exists()


class Crafted:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


@pytest.mark.parametrize("read", [lambda folder: load(folder, None), TextEncoder])
def test_pickled_weights_are_never_read(copied, read, tmp_path):
    folder = copied()
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save({**weights, "evil": Crafted(tmp_path / "ran")}, folder / "pytorch_model.bin")
    assert "safetensors" in refusal(read, folder)
    assert not (tmp_path / "ran").exists()


def test_any_process_of_torchrun_s_can_fill_the_cache(tiny_llm, tmp_path, monkeypatch):
    """transformers by itself would leave the weights to the first one."""
    model = AutoModelForCausalLM.from_pretrained(tiny_llm)
    monkeypatch.setattr(PreTrainedModel, "should_save_on_this_rank", lambda self, is_main: False)
    model.save_pretrained(tmp_path / "another")
    assert not (tmp_path / "another" / "model.safetensors").exists()
    save_whole(model, tmp_path / "whole")
    assert (tmp_path / "whole" / "model.safetensors").is_file()
