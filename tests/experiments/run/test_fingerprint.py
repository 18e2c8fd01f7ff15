"""Which settings, data and versions make two runs the same."""

from __future__ import annotations

import hashlib

import pytest

from recbole_store.experiments.run import fingerprint as protocol
from recbole_store.experiments.run.fingerprint import (
    NOT_HASHED,
    data_checksums,
    hashed_settings,
    identity,
    protocol_hash,
)
from recbole_store.settings.property_files import known_types
from recbole_store.settings.resolve import resolve

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
    assert hash_of("BPR", learning_rate="0.002") != hash_of("BPR")


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


def test_code_and_versions_count(monkeypatch):
    before = hash_of()
    monkeypatch.setattr(protocol, "RESULT_VERSION", protocol.RESULT_VERSION + 1)
    assert hash_of() != before
    monkeypatch.undo()
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


def test_what_is_left_out_exists():
    known = known_types(["STORE"], "ml-100k")
    assert set(NOT_HASHED) <= set(known) and all(NOT_HASHED.values())


def test_identity():
    settings = resolve("SASRec", "ml-100k", [], {}, variant="tuned")
    said = identity("SASRec", "ml-100k", settings, "tuned")
    assert said["variant"] == "tuned"
    assert said["protocol_hash"] == protocol_hash("SASRec", "ml-100k", settings)
    assert said["hashed_settings"] == hashed_settings("SASRec", "ml-100k", settings)
    assert said["hashed_settings"]["hidden_size"] == settings["hidden_size"]
    assert "ml-100k.inter" in said["data_sha256"]
