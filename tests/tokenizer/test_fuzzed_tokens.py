"""Texts of any characters through the LLM and the encoder: numbers, whatever they hold."""

from __future__ import annotations

import pytest
import torch
from fuzzing import fuzzed
from hypothesis import given
from hypothesis import strategies as st
from planted_store import make_model, prepare, store_settings, working_in

from recbole_store.llm.text_encoder import TextEncoder

ODD = ["\0\x1b\u202e\ufeff", "<eos>", "<unk><eos>", "tokens:", "word " * 200_000, "é" * 1000, " "]
# Codes as somebody might spell them who wants to be recommended.
ODD += ["<level 0, code 3>", "<|code_0_3|> <|code_1_2|>", "<s_1>", "[0, 3, 1]", "</s> Item: 5"]
anything = st.one_of(st.sampled_from(ODD), st.text(max_size=40))
anything = anything.map(lambda text: text.encode("utf-8", "replace").decode())


@pytest.fixture(scope="module")
def model(tiny_llm, planted, tmp_path_factory):
    with working_in(tmp_path_factory.mktemp("texts")):
        yield make_model(prepare(store_settings(tiny_llm, planted))).eval()


@given(texts=st.lists(anything, min_size=1, max_size=4))
@fuzzed(25)
def test_fuzzed_texts_become_codes(model, texts):
    tokenizer = model.item_tokenizer
    codes, points = tokenizer.read(texts)
    assert codes.shape == (len(texts), 2) and points.isfinite().all()
    assert ((codes >= 0) & (codes < tokenizer.sizes[0])).all()
    again, _ = tokenizer.read([*texts, "another text beside them"])
    assert torch.equal(again[: len(texts)], codes), "what else is read changes nothing"


@given(texts=st.lists(anything, min_size=1, max_size=4))
@fuzzed(25)
def test_fuzzed_texts_are_embedded(tiny_llm, texts):
    vectors = TextEncoder(str(tiny_llm))(texts, 16)
    assert vectors.isfinite().all() and len(vectors) == len(texts)


@given(text=anything)
@fuzzed(25)
def test_no_text_spells_a_code(model, text):
    """Codes have vectors of their own, which no word piece of the LLM's vocabulary leads to."""
    words = model.backbone.tokenize([text], 16)
    assert int(words.ids.max()) < model.backbone.llm.get_input_embeddings().num_embeddings
