"""Catalogues smaller than cut-offs, beams and codebooks: all items are ranked."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from recbole.utils import get_model, get_trainer
from recbole.utils.case_study import full_sort_topk

import run_recbole_store
from recbole_store.errors import SettingsError
from recbole_store.experiments.run.build import build, split
from recbole_store.settings.resolve import resolve


@pytest.fixture
def catalogue(write_dataset, tiny_llm):
    """``catalogue(n_items)``: typed settings of a data set with so many items."""

    def make(n_items: int, n_users: int = 20) -> dict[str, str]:
        rng = random.Random(n_items)
        rows = [
            (f"u{user}", f"i{rng.randrange(n_items)}", 1000 * user + step)
            for user in range(n_users)
            for step in range(7)
        ]
        used = sorted({item for _, item, _ in rows})
        colours = ("red", "green", "blue", "white", "black", "pink")
        texts = [f"{item}\t{colours[n % 6]} thing {n}" for n, item in enumerate(used)]
        lines = ["item_id:token\ttitle:token_seq", *texts]
        path = write_dataset("few", rows, lines)
        return {
            "data_path": str(path),
            "backbone": str(tiny_llm),
            "backbone_layers": "1",
            "epochs": "1",
            "tokenizer_epochs": "1",
            "item_text": "{title: '{}'}",
        }

    return make


def run(model: str, typed: dict[str, str], **changes: str) -> dict:
    """A run with all defaults but these, kept as well, which compares metrics with ranks."""
    shared = {"data_path", "epochs", *changes}
    words = [
        f"--{key}={value}"
        for key, value in {**typed, **changes}.items()
        if model in ("STORE", "TIGER") or key in shared
    ]
    if model != "STORE":
        words = [w for w in words if not w.startswith(("--backbone", "--tokenizer_epochs"))]
    words += [f"--model={model}", "--dataset=few", "--results=kept", "--run_dir=run", "--no_table"]
    assert run_recbole_store.main(words) == 0
    return json.loads(Path("run/result.json").read_text())


SMALL_TIGER = {
    "tokenizer": "random",
    "n_slots": "2",
    "codebook_size": "4",
    "d_model": "16",
    "d_ff": "16",
    "d_kv": "8",
    "num_heads": "2",
    "num_layers": "1",
    "num_decoder_layers": "1",
}


@pytest.mark.parametrize("model", ["STORE", "TIGER", "SASRecAll", "SASRec", "BPR", "Pop"])
def test_twelve_items_are_all_ranked(model, catalogue):
    """With the defaults: cut-offs of up to 20, 20 beams."""
    result = run(model, catalogue(12), **(SMALL_TIGER if model == "TIGER" else {}))
    assert result["test"]["recall@20"] == 1.0
    assert result["test"]["recall@1"] < 1.0
    with np.load("run/ranked.npz") as ranked:
        n_items = len(ranked["raw_ids"]) - 1
        for lists in ranked["items_unfiltered"]:
            assert set(lists[lists > 0]) == set(range(1, n_items + 1))


@pytest.mark.parametrize(
    "changes", [{"filter_history": "True"}, {"item_head_share": "0", "decoding": "exact"}]
)
def test_store_ranks_few_items_in_other_ways(catalogue, changes):
    result = run("STORE", catalogue(12), **changes)
    assert result["test"]["recall@20"] == 1.0


@pytest.mark.parametrize("mode", ["uni100", "pop100"])
@pytest.mark.parametrize("model", ["Pop", "SASRecAll", "STORE"])
def test_more_sampled_candidates_than_items(model, mode, catalogue):
    result = run(model, catalogue(12), eval_args=f"{{mode: {mode}}}")
    assert result["test"]["recall@20"] == 1.0


def test_metrics_of_lists_and_of_all_ranks(catalogue):
    metrics = "[NDCG,GAUC,ItemCoverage,ShannonEntropy,GiniIndex,AveragePopularity,TailPercentage]"
    typed = {"metrics": metrics, "topk": "[5,100]", "valid_metric": "NDCG@5"}
    result = run("STORE", catalogue(12), num_beams="100", **typed)
    assert result["test"]["itemcoverage@100"] == 1.0
    assert all(isinstance(value, float) for value in result["test"].values())


def test_a_case_study_of_more_items_than_there_are(catalogue):
    typed = {"data_path": catalogue(12)["data_path"], "gpu_id": "", "loss_type": "BPR"}
    config, dataset = build("SASRec", "few", resolve("SASRec", "few", [], typed))
    train, _, test = split("SASRec", config, dataset)
    model = get_model("SASRec")(config, train.dataset)
    get_trainer(config["MODEL_TYPE"], "SASRec")(config, model)
    users = dataset.token2id("user_id", ["u1", "u2"])
    scores, items = full_sort_topk(users, model, test, k=1000)
    assert items.shape == scores.shape == (2, dataset.item_num - 1)
    assert set(items[0].tolist()) == set(range(1, dataset.item_num))
    _, three = full_sort_topk(users, model, test, k=3)
    assert torch.equal(three, items[:, :3])


@pytest.mark.parametrize("model", ["STORE", "SASRecAll", "Pop"])
def test_two_items_are_a_catalogue(model, catalogue):
    assert run(model, catalogue(2))["test"]["recall@5"] == 1.0


def test_one_item_is_none(catalogue):
    settings = resolve("Pop", "few", [], {"data_path": catalogue(1)["data_path"]})
    with pytest.raises(SettingsError, match="few has one item"):
        build("Pop", "few", settings)


def test_items_with_one_text_are_one_point(catalogue, tiny_llm):
    """The LLM tells nothing apart; what is left of them is their own vectors."""
    typed = catalogue(6)
    path = Path(typed["data_path"]) / "few" / "few.item"
    header, *lines = path.read_text().splitlines()
    path.write_text("\n".join([header, *(line.split("\t")[0] + "\tred" for line in lines)]) + "\n")
    assert run("STORE", typed)["test"]["recall@10"] == 1.0


@pytest.mark.parametrize("tokenizer", ["palette", "rqkmeans", "rqvae", "tower"])
def test_cold_items_in_a_small_catalogue(tokenizer, catalogue, tiny_llm):
    """Codebooks and components are of the items that the tokenizer is fitted on."""
    changes = {"cold_items": "0.3", "text_encoder": str(tiny_llm), "rqvae_epochs": "2"}
    changes |= {"tokenizer": tokenizer, "pca_dim": "64"}
    result = run("STORE", catalogue(14, n_users=40), **changes)
    assert result["cold"]["n_items"] >= 3


def test_a_codebook_for_the_cold_ones_is_too_large(catalogue):
    typed = {**catalogue(14, n_users=40), "cold_items": "0.3", "codebook_size": "13"}
    settings = resolve("STORE", "few", [], typed)
    config, dataset = build("STORE", "few", settings)
    with pytest.raises(SettingsError, match=r"`codebook_size` is 13, but few has 1\d items that"):
        split("STORE", config, dataset)
