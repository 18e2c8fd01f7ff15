"""A catalogue is read once; whatever could change its states is read anew."""

from __future__ import annotations

import pytest
import torch

from recbole_store.llm.layer_means import LayerMeans
from recbole_store.tokenizer import mean_states as module
from recbole_store.tokenizer.mean_states import mean_states

TEXTS = ["red circle", "blue square", "green circle"]


@pytest.fixture
def readings(monkeypatch, tmp_path) -> list[int]:
    """Sizes of the catalogues that the LLM read."""
    found: list[int] = []
    read = LayerMeans.__call__

    def spy(self, texts, max_tokens, *status):
        found.append(len(texts))
        return read(self, texts, max_tokens, *status)

    monkeypatch.setattr(LayerMeans, "__call__", spy)
    monkeypatch.setattr(module, "KEPT_FROM", 3)
    monkeypatch.setenv("RECBOLE_STORE_CACHE", str(tmp_path / "cache"))
    return found


def test_the_same_catalogue_is_read_once(tiny_llm, readings):
    first = mean_states(str(tiny_llm), TEXTS, 8, "cpu")
    assert torch.equal(mean_states(str(tiny_llm), TEXTS, 8, "cpu"), first)
    assert readings == [3]
    mean_states(str(tiny_llm), [*TEXTS[:2], "green square"], 8, "cpu")
    mean_states(str(tiny_llm), TEXTS, 1, "cpu")
    assert readings == [3, 3, 3]
    mean_states(str(tiny_llm), TEXTS[:2], 8, "cpu")  # few texts are not kept
    mean_states(str(tiny_llm), TEXTS[:2], 8, "cpu")
    assert readings == [3, 3, 3, 2, 2]


def test_damaged_states_are_read_anew(tiny_llm, readings, tmp_path):
    first = mean_states(str(tiny_llm), TEXTS, 8, "cpu")
    (kept,) = (tmp_path / "cache" / "states").glob("*.safetensors")
    kept.write_bytes(kept.read_bytes()[:-8])
    assert torch.equal(mean_states(str(tiny_llm), TEXTS, 8, "cpu"), first)
    assert readings == [3, 3]


def test_states_that_cannot_be_kept_are_read_all_the_same(tiny_llm, readings, monkeypatch):
    def full(path, state):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write", full)
    assert mean_states(str(tiny_llm), TEXTS, 8, "cpu").shape == (3, 3 * 32)
    assert mean_states(str(tiny_llm), TEXTS, 8, "cpu").shape == (3, 3 * 32)
    assert readings == [3, 3]
