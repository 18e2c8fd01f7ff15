"""Which settings, data and versions make two runs the same."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch

from recbole_store.experiments.run import fingerprint
from recbole_store.experiments.run.fingerprint import (
    NOT_HASHED,
    OTHERS,
    RESULT_VERSIONS,
    data_checksums,
    hash_of_parts,
    hashed_settings,
    identity,
    model_checksums,
    protocol_hash,
)
from recbole_store.settings.defaults import shipped_defaults
from recbole_store.settings.keys import declared_keys
from recbole_store.settings.property_files import PLUGIN_MODELS
from recbole_store.settings.resolve import resolve

PINNED = Path(__file__).with_name("pinned_defaults.json")
INTERACTIONS = [("u1", f"i{n}", n) for n in range(5)]


def hash_of(model="STORE", variant="", models=None, **typed) -> str:
    settings = resolve(model, "ml-100k", [], typed, models, variant=variant)
    return protocol_hash(model, "ml-100k", settings)


def test_sixteen_hex_digits_always_the_same():
    assert len(hash_of()) == 16 and int(hash_of(), 16)
    assert hash_of() == hash_of()


@pytest.mark.parametrize(
    "typed",
    [
        {"seed": "2021"},
        {"learning_rate": "0.01"},
        {"metrics": "[NDCG]"},
        {"eval_args": "{mode: uni100}"},
        {"MAX_ITEM_LIST_LENGTH": "20"},
        {"repeatable": "False"},
        {"item_text": "{movie_title: '{}'}"},
        {"backbone_layers": "null"},
        {"clip_grad_norm": "null"},
    ],
)
def test_what_can_change_a_figure_changes_the_hash(typed):
    assert hash_of(**typed) != hash_of()


@pytest.mark.parametrize(
    "typed",
    [
        {"gpu_id": "1"},
        {"show_progress": "False"},
        {"checkpoint_dir": "elsewhere"},
        {"state": "DEBUG"},
        {"checkpoint_minutes": "1"},
        {"seed": "2020"},
        {"align_weight": "0.20"},
        {"align_weight": "2e-1"},
    ],
)
def test_what_cannot_does_not(typed):
    assert hash_of(**typed) == hash_of()


def test_a_whole_number_is_the_same_number():
    assert hash_of(align_weight="1") == hash_of(align_weight="1.0")
    assert hash_of(backbone_layers="1") != hash_of(backbone_layers="2")


def test_a_default_of_recbole_s_may_be_stated():
    assert hash_of("BPR", learning_rate="0.001") == hash_of("BPR")
    assert hash_of("BPR", user_inter_num_interval="null") == hash_of("BPR"), "RecBole's for ml-100k"
    assert hash_of("BPR", learning_rate="0.002") != hash_of("BPR")


def test_only_what_is_no_default_is_hashed():
    """So a key can go, and its default become part of the code, without a trace."""
    of_data = {"item_text", "load_col"}  # ml-100k's own
    for model in ("STORE", "TIGER", "SASRecAll", "SASRec", "BPR", "Pop"):
        found = hashed_settings(model, "ml-100k", resolve(model, "ml-100k", [], {}))
        assert set(found) == of_data, model
    typed = {"align_weight": "0.3", "backbone_layers": "null", "num_beams": "20"}
    found = hashed_settings("STORE", "ml-100k", resolve("STORE", "ml-100k", [], typed))
    assert set(found) == {"align_weight", "backbone_layers"} | of_data
    assert found["align_weight"] == 0.3 and found["backbone_layers"] is None


def test_what_follows_from_another_setting_is_no_setting():
    """RecBole's negative samples must be off beside a full softmax, and are there beside BPR."""
    found = [
        hashed_settings("SASRec", "ml-100k", resolve("SASRec", "ml-100k", [], typed))
        for typed in ({}, {"loss_type": "BPR"}, {"loss_type": "BPR", "epochs": "1"})
    ]
    assert "loss_type" not in found[0] and found[1]["loss_type"] == "BPR"
    assert not any("train_neg_sample_args" in settings for settings in found)


def test_null_is_not_set():
    settings = resolve("Pop", "ml-100k", [], {})
    without = protocol_hash("Pop", "ml-100k", settings)
    assert protocol_hash("Pop", "ml-100k", {**settings, "clip_grad_norm": None}) == without
    assert protocol_hash("Pop", "ml-100k", {**settings, "clip_grad_norm": {}}) != without


def test_keys_of_other_models_of_the_comparison_do_not_count():
    both = ["Pop", "SASRec"]
    assert hash_of("Pop", models=both, n_heads="4") == hash_of("Pop")
    assert hash_of("SASRec", models=both, n_heads="4") != hash_of("SASRec")


@pytest.mark.parametrize("model", ["STORE", "TIGER", "SASRecAll"])
def test_items_left_out_of_training_count_for_every_model_that_reads_the_key(model):
    typed = {"item_dropout": "0.5"}
    models = ["STORE", "TIGER", "SASRecAll"]
    settings = [resolve(model, "ml-100k", [], keys, models) for keys in ({}, typed)]
    plain, thinned = (protocol_hash(model, "ml-100k", found) for found in settings)
    assert plain != thinned


def test_models_and_variants_differ():
    assert len({hash_of(), hash_of(variant="without_alignment"), hash_of("SASRec")}) == 3


def test_the_name_of_a_variant_does_not_count():
    assert hash_of(variant="without_alignment") == hash_of(align_weight="0")


@pytest.mark.parametrize("family", [*PLUGIN_MODELS, OTHERS])
def test_a_default_changes_with_its_number_alone(family):
    """Results are told apart by what is no default: a default that moves must raise the number.

    After that, add the new number with its defaults to the file.
    """
    model = "Pop" if family == OTHERS else family
    pinned = json.loads(PINNED.read_text())[family]
    counts = {k: v for k, v in shipped_defaults(model).items() if k not in NOT_HASHED}
    assert counts == pinned[str(RESULT_VERSIONS[family])]


def test_code_counts_for_its_own_models(monkeypatch):
    before = hash_of(), hash_of("SASRec"), hash_of("Pop")
    monkeypatch.setitem(RESULT_VERSIONS, "STORE", RESULT_VERSIONS["STORE"] + 1)
    assert (hash_of() == before[0], hash_of("SASRec") == before[1]) == (False, True)
    monkeypatch.setitem(RESULT_VERSIONS, OTHERS, RESULT_VERSIONS[OTHERS] + 1)
    assert hash_of("SASRec") != before[1] and hash_of("Pop") != before[2]


def test_versions_count(monkeypatch):
    version = {"torch": "2.13.0", "recbole": "1.2.1"}
    monkeypatch.setattr("importlib.metadata.version", version.get)
    pinned = hash_of()
    version["torch"] = "2.13.9+cpu"
    assert hash_of() == pinned, "a patch release"
    version["torch"] = "2.14.0"
    assert hash_of() != pinned


def test_data_count(write_dataset):
    data_path = write_dataset("films", INTERACTIONS, ["item_id:token\ttitle:token_seq", "i1\ta"])
    settings = {**resolve("Pop", "films", [], {"data_path": str(data_path)}), "item_text": None}
    sums = data_checksums("films", settings)
    content = (data_path / "films" / "films.inter").read_bytes()
    assert sums["films.inter"] == hashlib.sha256(content).hexdigest()
    assert set(sums) == {"films.inter", "films.item"}

    before = protocol_hash("Pop", "films", settings)
    (data_path / "films" / "films-SequentialDataset.pth").write_text("RecBole's cache")
    (data_path / "films" / "notes.txt").write_text("mine")
    assert protocol_hash("Pop", "films", settings) == before
    (data_path / "films" / "films.text.jsonl").write_text("{}\n")
    assert protocol_hash("Pop", "films", settings) != before


def test_the_data_s_place_does_not_count(write_dataset):
    data_path = write_dataset("films", INTERACTIONS)
    hashes = set()
    for folder in (data_path, data_path.with_name("moved")):
        if folder != data_path:
            data_path.rename(folder)
        settings = resolve("Pop", "films", [], {"data_path": str(folder)})
        hashes.add(protocol_hash("Pop", "films", settings))
    assert len(hashes) == 1


def test_the_llm_s_content_counts(tiny_llm, tmp_path):
    """Not its place, but every byte of its weights."""
    folder = tmp_path / "llm"
    folder.mkdir()
    for file in tiny_llm.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    hashes = {}
    for name, place in (("original", tiny_llm), ("copy", folder)):
        hashes[name] = model_checksums("STORE", {"backbone": str(place)})
    assert hashes["copy"] == hashes["original"] and set(hashes["copy"]) == {"backbone"}

    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    assert model_checksums("STORE", {"backbone": str(folder)}) != hashes["original"]


def test_a_text_encoder_counts_where_texts_are_embedded(tiny_llm):
    encoder = {"text_encoder": str(tiny_llm)}
    assert set(model_checksums("STORE", {})) == {"backbone"}
    assert set(model_checksums("STORE", {"tokenizer": "rqvae"})) == {"backbone", "text_encoder"}
    assert set(model_checksums("TIGER", {})) == {"text_encoder"}
    assert model_checksums("TIGER", encoder) != model_checksums("TIGER", {})
    assert model_checksums("TIGER", {**encoder, "tokenizer": "random"}) == {}
    assert model_checksums("SASRec", encoder) == {}


def test_the_embedded_models_are_not_fetched_for_a_hash(monkeypatch):
    def fetch(*_):
        raise AssertionError("nothing is to be fetched")

    monkeypatch.setattr("recbole_store.llm.model_files._download", fetch)
    default = model_checksums("TIGER", {})
    assert default["text_encoder"] == model_checksums("STORE", {})["backbone"]
    assert model_checksums("TIGER", {"text_encoder": "all-minilm-l6-v2"}) != default


def test_what_is_left_out_exists():
    known = declared_keys(["STORE"])
    assert set(NOT_HASHED) <= set(known) and all(NOT_HASHED.values())


def test_identity():
    settings = resolve("SASRec", "ml-100k", [], {}, variant="tuned")
    said = identity("SASRec", "ml-100k", settings, "tuned")
    assert said["variant"] == "tuned"
    assert said["protocol_hash"] == protocol_hash("SASRec", "ml-100k", settings)
    assert said["hashed_settings"] == hashed_settings("SASRec", "ml-100k", settings)
    assert said["hashed_settings"]["hidden_size"] == settings["hidden_size"]
    assert "ml-100k.inter" in said["data_sha256"]
    parts = {key: value for key, value in said.items() if key not in ("variant", "protocol_hash")}
    versions = {"recbole": "1.2.1", "torch": torch.__version__}
    assert hash_of_parts("SASRec", "ml-100k", versions, **parts) == said["protocol_hash"]
    assert fingerprint.result_version("SASRec", settings) == said["result_version"]


def test_what_becomes_of_new_items_tells_the_runs_apart_that_have_some(monkeypatch):
    settings = resolve("Neighbours", "ml-100k", [], {})
    of_cold = {**settings, "cold_items": 0.05}
    before = [protocol_hash("Neighbours", "ml-100k", each) for each in (settings, of_cold)]
    monkeypatch.setattr(fingerprint, "NEW_ITEM_RULES", fingerprint.NEW_ITEM_RULES + 1)
    after = [protocol_hash("Neighbours", "ml-100k", each) for each in (settings, of_cold)]
    assert before[0] == after[0] and before[1] != after[1]
