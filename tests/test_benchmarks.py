"""The benchmarks themselves, on small sizes: what they compare really is the same."""

from __future__ import annotations

import importlib
import json
import runpy
import sys

import pytest
import torch
from planted_data import ROOT

from recbole_store.settings.defaults import recbole_defaults, shipped_defaults

FOLDER = ROOT / "tests" / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    """Import a benchmark, which runs as a script in its own folder."""
    monkeypatch.syspath_prepend(str(FOLDER))
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(FOLDER)):
            del sys.modules[name]


def test_hugging_face_s_generate_finds_the_same_items(benchmark, monkeypatch, tiny_llm):
    decode = benchmark("decode")
    small = {
        "LLM": str(tiny_llm),
        "LAYERS": None,
        "N_ITEMS": 400,
        "CODEBOOK": 12,
        "OUR_USERS": 6,
        "THEIR_USERS": 6,
        "THEIR_BATCH": 3,
        "PROMPTS": (20,),
        "BEAMS": (10, 15),
    }
    for name, value in small.items():
        monkeypatch.setattr(decode, name, value)
    figures = decode.measure()
    assert figures["decode_same_top10"] == 1
    assert figures["decode_speedup_vs_hf_generate_k10_t20"] > 0


def test_the_comparison_with_generate_can_fail(benchmark):
    decode = benchmark("decode")
    items, log_probs = torch.tensor([[4, 2, 9]]), torch.tensor([[-1.0, -2.0, -2.000001]])
    found = decode.Beams(items, log_probs, log_probs[:, -1])
    assert decode.same_top(found, found, 3) == 1
    tied = found._replace(item_ids=torch.tensor([[4, 9, 2]]))
    assert decode.same_top(found, tied, 3) == 1
    other = found._replace(item_ids=torch.tensor([[2, 4, 9]]))
    assert decode.same_top(found, other, 3) == 0
    less = found._replace(log_probs=log_probs - 0.1)
    assert decode.same_top(found, less, 3) == 0


def test_trie_figures(benchmark, monkeypatch):
    trie = benchmark("trie")
    monkeypatch.setattr(trie, "EXPONENTS", (2, 3))
    figures = trie.measure()
    assert 0 < figures["trie_bytes_per_item"] < 60
    assert figures["trie_step_ratio_1e3_vs_1e2"] > 0
    codes = trie.catalogue(1000)
    assert codes.shape == (1000, 4) == codes.unique(dim=0).shape
    assert codes.max() < 256


def test_readme_shows_the_committed_figures(benchmark):
    table = benchmark("table")
    figures = json.loads(table.RESULTS.read_text())
    assert set(table.ROWS) <= set(figures), set(table.ROWS) - set(figures)
    readme = (ROOT / "docs" / "speed.md").read_text(encoding="utf-8")
    shown = readme.split(table.START)[1].split(table.END)[0]
    assert shown.strip() == table.render(figures)


def test_unknown_parts_are_named(benchmark, capsys):
    benchmark("machine")
    script = runpy.run_path(str(FOLDER / "__main__.py"), run_name="benchmarks")
    assert script["main"](["decoding"]) == 2
    assert "No part decoding: there are decode, trie" in capsys.readouterr().out


def test_serving_figures(benchmark, monkeypatch, tiny_llm, tmp_path):
    """On a tiny model, for a moment: nothing fails, and loaded lists are those that were saved."""
    pytest.importorskip("fastapi")
    serving = benchmark("serving")
    small = {"SIZES": {"ml100k": 300}, "REQUESTS": 3, "BATCHES": (1, 4), "BATCH_S": 0.1}
    small |= {"HISTORY": 5, "NEW_ITEMS": 8, "CONNECTIONS": 3, "LOAD_S": 2}
    for name, value in small.items():
        monkeypatch.setattr(serving, name, value)
    settings = {**recbole_defaults("STORE", ""), **shipped_defaults("STORE")}
    settings |= {"backbone": str(tiny_llm), "backbone_layers": None}
    figures = serving.measure_size("ml100k", settings, tmp_path / "model")
    assert 0.9 < figures["serving_size_ml100k"] < 3
    figures |= serving.measure_server(tmp_path / "model", 300)
    assert figures["serving_http_errors"] == 0
    assert figures["serving_http_requests_per_s"] > 0


def test_large_catalogues(benchmark, monkeypatch, tiny_llm):
    """Two sizes of a tiny model, either side of the limit: the short list finds the exact best."""
    large = benchmark("large")
    small = {"N_WINDOWS": 20, "N_TEXTS": 20, "WARM_UP": 0, "STEPS": 1, "USERS": 3, "ROUNDS": 1}
    small |= {"SETTINGS": {"codebook_size": 32, "pca_dim": 4}}
    for name, value in small.items():
        monkeypatch.setattr(large, name, value)
    changes = {"backbone": str(tiny_llm), "backbone_layers": None, "full_softmax_limit": 500}
    changes |= {"MAX_ITEM_LIST_LENGTH": 10, "item_vector_size": 16}
    below, beyond = large.cost(2, changes), large.cost(3, changes)
    assert "recall" not in below and beyond["recall"] == 1
    for found in (below, beyond):
        assert found.pop("rank_first_s") is not None  # a difference of two times, here of noise
        assert all(value > 0 for value in found.values())


def test_what_preparing_takes(benchmark, monkeypatch):
    rows = benchmark("rows")
    monkeypatch.setattr(rows, "SIZES", [30_000])
    figures = rows.measure()
    assert set(figures) == {"prepare_peak_gb_1e4", "prepare_cpu_s_1e4"}
    assert 0.05 < figures["prepare_peak_gb_1e4"] < 1


def test_the_index_s_recall(benchmark, monkeypatch):
    pytest.importorskip("faiss")
    index = benchmark("index")
    small = {"N_ITEMS": 20_000, "N_CLUSTERS": 400, "N_LISTS": 16, "PROBES": (1, 16), "ROUNDS": 1}
    for name, value in small.items():
        monkeypatch.setattr(index, name, value)
    figures = index.measure()
    assert figures["index_blocks_fp32_recall"] == 1 == figures["index_faiss_16_recall"]
    assert figures["index_faiss_1_recall"] < 1


def test_the_settings_chosen_are_as_good_as_any_known(benchmark):
    """On each sample, to a standard error; and the page shows what was measured."""
    profiles = benchmark("profiles")
    kept = json.loads(profiles.RESULTS.read_text())
    assert kept
    for name, found in kept.items():
        of_store = {k: v for k, v in found["measured"].items() if k not in profiles.OTHERS}
        best, auto = max(v[profiles.METRIC] for v in of_store.values()), of_store["auto"]
        assert len(found["measured"]) > 1 and best - auto[profiles.METRIC] <= auto["error"], name
    assert profiles.table(kept) in profiles.PAGE.read_text(encoding="utf-8")
