"""Whole runs on the planted data: RecBole's own entry points, and answers that are known.

One STORE is trained well, through vanilla ``run_recbole``; what only needs a run takes a few
users, one epoch a stage and a beam search that is wide enough.
"""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from planted_data import FOLLOWS, ROOT, next_planted, planted_items
from planted_store import store_settings, working_in, write_labelled
from recbole import quick_start
from recbole.data import data_preparation
from recbole.utils import get_trainer, init_seed
from recbole.utils.case_study import full_sort_topk
from sklearn.metrics import roc_auc_score
from torch.testing import assert_close
from transformers import AutoModelForCausalLM

from recbole_store.experiments.run.build import build
from recbole_store.experiments.run.run import run_model
from recbole_store.settings.defaults import plugin_defaults, shipped_defaults
from recbole_store.settings.resolve import resolve

CLOSE = {"rtol": 1e-5, "atol": 1e-5}
N_ITEMS = len(planted_items())


def sampled(**eval_args) -> dict:
    """Leave-one-out in time order, evaluated in another way."""
    split = {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user"}
    return {"eval_args": {**split, **eval_args}}


# --- one STORE, trained well ----------------------------------------------------------------


@pytest.fixture(scope="module")
def learning(tiny_llm, planted) -> dict:
    """Settings under which the tiny LLM learns the planted rule in seconds."""
    return store_settings(
        tiny_llm,
        planted,
        align_weight=0.2,
        epochs=7,
        stopping_step=20,
        learning_rate=0.005,
        code_learning_rate=0.01,
        tokenizer_epochs=8,
        tokenizer_learning_rate=0.003,
        warmup_steps=10,
    )


@pytest.fixture(scope="module")
def run(learning, tmp_path_factory):
    """Vanilla RecBole trains STORE: its result, and the checkpoint."""
    folder = tmp_path_factory.mktemp("run")
    with working_in(folder):
        result = quick_start.run_recbole(
            model="STORE",
            dataset="planted",
            config_dict={**learning, "profile": "none", "checkpoint_dir": str(folder)},
        )
    (checkpoint,) = folder.glob("STORE-*.pth")
    return result, checkpoint


@pytest.fixture(scope="module")
def loaded(run, tmp_path_factory):
    """What RecBole loads from that checkpoint: config, model, dataset, and three loaders."""
    with working_in(tmp_path_factory.mktemp("loaded")):
        config, model, *data = quick_start.load_data_and_model(str(run[1]))
    return config, model.eval(), *data


@torch.no_grad()
def scores_of(model, loader) -> torch.Tensor:
    """Full-ranking scores [users, n_items] of a loader's rows, in their order."""
    return torch.cat([model.full_sort_predict(batch[0]) for batch in loader])


def targets_of(loader) -> torch.Tensor:
    return loader.dataset.inter_feat["item_id"]


def test_store_learns_what_the_texts_say(run):
    """The planted optimum: the successor is first, in a share FOLLOWS of all cases."""
    test = run[0]["test_result"]
    assert 0.7 < test["recall@1"] <= FOLLOWS + 0.05
    assert run[0]["best_valid_result"]["recall@1"] > 0.7


def test_store_recommends_the_planted_successor(loaded):
    """Item by item, whatever users did next."""
    _, model, dataset, _, _, test = loaded
    by_name = {name: text for name, *text in planted_items()}
    by_text = {tuple(text): name for name, text in by_name.items()}
    best = scores_of(model, test)[:, 1:].argmax(1) + 1
    rows = test.dataset.inter_feat
    last = rows["item_id_list"][torch.arange(len(rows)), rows["item_length"] - 1]
    names = dataset.field2id_token["item_id"]
    right = [
        names[found] == by_text[next_planted(*by_name[names[before]])]
        for found, before in zip(best.tolist(), last.tolist(), strict=True)
    ]
    assert sum(right) / len(right) > 0.85


def test_store_is_far_above_pop(run, learning, tmp_path):
    keys = ("data_path", "load_col", "topk", "valid_metric", "gpu_id", "show_progress", "epochs")
    settings = {**plugin_defaults("Pop", "planted"), **{key: learning[key] for key in keys}}
    pop = run_model("Pop", "planted", settings, tmp_path / "pop")
    assert pop["protocol"]["n_test"] == 300
    assert 0 <= pop["test"]["recall@1"] < 0.1
    assert run[0]["test_result"]["recall@1"] > pop["test"]["recall@1"] + 0.6


def test_all_of_the_llm_was_tuned_but_its_words(loaded, tiny_llm):
    ours = loaded[1].backbone.llm.state_dict()
    theirs = AutoModelForCausalLM.from_pretrained(tiny_llm).state_dict()
    assert ours.keys() == theirs.keys()
    same = {name for name in ours if torch.equal(ours[name], theirs[name])}
    assert same == {"model.embed_tokens.weight", "lm_head.weight"}


def test_a_loaded_model_scores_as_the_run_did(run, loaded, tmp_path):
    config, model, _, _, valid, test = loaded
    trainer = get_trainer(config["MODEL_TYPE"], "STORE")(config, model)
    for loader, expected in (
        (test, run[0]["test_result"]),
        (valid, run[0]["best_valid_result"]),
    ):
        assert trainer.evaluate(loader, load_best_model=False, show_progress=False) == expected


# RecBole alone needs a ray to be imported, and one that the installed NumPy suits.
FRESH_PROCESS = """
import sys, torch, types
sys.modules["ray"] = types.SimpleNamespace(tune=None)
from recbole.quick_start import load_data_and_model
assert not any(name.startswith("recbole_store") for name in sys.modules)
torch.set_num_threads(1)
config, model, dataset, train, valid, test = load_data_and_model(sys.argv[1])
model.eval()
batch = next(iter(test))[0]
torch.save(model.full_sort_predict(batch), sys.argv[2])
"""


def test_a_fresh_process_without_the_plugin_scores_the_same(run, loaded, tmp_path):
    found = tmp_path / "scores.pt"
    # torch >= 2.6 refuses RecBole's checkpoints, of all models, unless told to trust them.
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1",
        "OMP_NUM_THREADS": "1",
    }
    finished = subprocess.run(
        [sys.executable, "-c", FRESH_PROCESS, str(run[1]), str(found)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
    _, model, *_, test = loaded
    batch = next(iter(test))[0]
    expected = model.full_sort_predict(batch)
    assert len(expected) > 100
    assert_close(torch.load(found, weights_only=True), expected, **CLOSE)


def test_case_study_topk_is_that_of_the_evaluation(run, loaded):
    config, model, _, _, _, test = loaded
    users = test.dataset.inter_feat["user_id"]
    scores, items = full_sort_topk(users.numpy(), model, test, k=10, device=config["device"])
    expected = scores_of(model, test)
    expected[:, 0] = -torch.inf
    expected_scores, expected_items = expected.topk(10)
    assert torch.equal(items, expected_items)
    assert_close(scores, expected_scores, **CLOSE)
    hits = items == targets_of(test)[:, None]
    for k in (1, 5, 10):
        recall = hits[:, :k].any(1).float().mean().item()
        assert run[0]["test_result"][f"recall@{k}"] == pytest.approx(recall, abs=1e-4)


# --- other ways to evaluate, on the trained model -------------------------------------------


def other_evaluation(loaded, learning, **changes):
    """Trainer and test loader of the trained model under other evaluation settings."""
    config, dataset = build("STORE", "planted", {**learning, **changes})
    train, _, test = data_preparation(config, dataset)
    model = copy.copy(loaded[1])
    train.dataset.semantic_ids.copy_(model.semantic_ids)
    return get_trainer(config["MODEL_TYPE"], "STORE")(config, model), test


def test_sampled_evaluation_ranks_by_exact_log_likelihoods(run, loaded, learning, monkeypatch):
    changes = {**sampled(mode="uni50"), "eval_batch_size": 5100}
    trainer, test = other_evaluation(loaded, learning, **changes)
    init_seed(5, True)
    result = trainer.evaluate(test, load_best_model=False, show_progress=False)
    for k in (1, 5, 10):  # fewer rivals than in the full ranking
        assert result[f"recall@{k}"] >= run[0]["test_result"][f"recall@{k}"]

    # The same candidates again, scored by a beam search that keeps every item.
    model = trainer.model
    monkeypatch.setattr(model, "num_beams", N_ITEMS)
    init_seed(5, True)
    ranks = []
    for batch, row, _, positive in test:
        for user, target in enumerate(positive.tolist()):
            candidates = batch["item_id"][row == user]
            assert len(candidates) == 51
            rivals = candidates.unique()  # drawn with replacement, ranked once
            scores = model.full_sort_predict(batch[row == user][:1])[0]
            ranks.append(int((scores[rivals] > scores[target]).sum()))
    ranks = torch.tensor(ranks)
    assert len(ranks) == 300
    for k in (1, 5, 10):
        share = (ranks < k).float().mean().item()
        assert result[f"recall@{k}"] == pytest.approx(share, abs=1e-4)


def test_auc_over_sampled_items(loaded, learning):
    changes = {"metrics": ["AUC"], "valid_metric": "AUC", **sampled(mode="uni50")}
    trainer, test = other_evaluation(loaded, learning, **changes)
    result = trainer.evaluate(test, load_best_model=False, show_progress=False)
    assert 0.85 < result["auc"] <= 1


@pytest.fixture(scope="module")
def labelled(planted, tmp_path_factory) -> Path:
    return write_labelled(planted, tmp_path_factory.mktemp("labelled"))


def labelled_settings(labelled) -> dict:
    return {
        "data_path": str(labelled),
        "load_col": {"inter": ["user_id", "item_id", "timestamp", "label"]},
        "LABEL_FIELD": "label",
        "metrics": ["AUC"],
        "valid_metric": "AUC",
        **sampled(mode="labeled"),
    }


def test_auc_over_labelled_items(loaded, learning, labelled):
    trainer, test = other_evaluation(loaded, learning, **labelled_settings(labelled))
    result = trainer.evaluate(test, load_best_model=False, show_progress=False)
    labels, scores = [], []
    for batch, *_ in test:
        labels.append(batch["label"])
        scores.append(trainer.model.predict(batch))
    labels, scores = torch.cat(labels), torch.cat(scores)
    assert len(labels) == 300
    assert 0.05 < (labels == 0).float().mean() < 0.2
    assert result["auc"] == pytest.approx(roc_auc_score(labels, scores), abs=1e-4)
    assert result["auc"] > 0.95


# --- the settings that are shipped ----------------------------------------------------------


def test_what_is_shipped_learns_and_a_cached_tokenizer_changes_nothing(
    tiny_llm, planted, tmp_path, monkeypatch
):
    """Head, items' vectors, alignment and dropout are on; nothing random is left to stage 1."""
    monkeypatch.setenv("RECBOLE_STORE_CACHE", str(tmp_path / "cache"))
    told = {
        "data_path": str(planted),
        "item_text": "{colour: '{}', shape: '{}'}",
        "backbone": str(tiny_llm),
        "epochs": "2",
        "tokenizer_epochs": "1",
        "user_inter_num_interval": "[10,inf)",  # fewer users
        "show_progress": "False",
        "gpu_id": "",
    }
    settings = resolve("STORE", "planted", [], told)
    shipped = shipped_defaults("STORE")
    assert {key for key in shipped if settings[key] != shipped[key]} == told.keys() & shipped.keys()
    assert all(settings[key] > 0 for key in ("item_head_weight", "align_weight", "dropout"))

    fresh, again = (run_model("STORE", "planted", settings, tmp_path / n) for n in ("one", "two"))
    assert [run["store"]["tokenizer_cached"] for run in (fresh, again)] == [False, True]
    first, last = (epoch["losses"] for epoch in fresh["curve"])
    assert len(first) == 2, "the next item's, with its head, and text-to-token's"
    assert all(after < 0.97 * before for after, before in zip(last, first, strict=True))
    # Items have one or two successors among sixty: by chance .17 of the ten first would be right.
    assert fresh["test"]["recall@10"] > 0.5
    assert (again["test"], again["valid"]) == (fresh["test"], fresh["valid"])
    for one, other in zip(fresh["curve"], again["curve"], strict=True):
        assert one["losses"] == other["losses"]


# --- runs that need no good model -----------------------------------------------------------


@pytest.fixture
def quick(tiny_llm, planted) -> dict:
    """Settings of a run on few users, of one epoch a stage."""
    return store_settings(
        tiny_llm, planted, user_inter_num_interval="[14,inf)", learning_rate=0.003
    )


def quick_run(settings: dict, folder: Path, **changes) -> dict:
    return run_model("STORE", "planted", {**settings, **changes}, folder)


def test_runs_train_and_select_by_auc_over_labelled_items(quick, labelled, tmp_path):
    result = quick_run(quick, tmp_path / "run", **labelled_settings(labelled))
    assert set(result["test"]) == {"auc"}
    assert 0 < result["valid"]["auc"] <= 1
    assert result["valid_metric"] == "AUC"


def test_the_tokenizer_is_trained_once_for_one_setting(quick, tmp_path, monkeypatch):
    monkeypatch.setenv("RECBOLE_STORE_CACHE", str(tmp_path / "cache"))

    def run_of(name: str, **changes):
        folder = tmp_path / name
        result = quick_run(quick, folder, **changes)
        return result, (folder / f"{name}.log").read_text(), folder / "semantic_ids.tsv"

    first, first_log, first_table = run_of("first")
    again, again_log, again_table = run_of("again")
    assert "tokenizer epoch 1" in first_log
    assert "unchanged since an earlier run" not in first_log
    assert "unchanged since an earlier run" in again_log
    assert "tokenizer epoch 1" not in again_log
    assert (first["store"]["tokenizer_cached"], again["store"]["tokenizer_cached"]) == (False, True)
    assert first["test"] == again["test"]
    assert first["valid"] == again["valid"]
    assert first_table.read_text() == again_table.read_text()
    for one, other in zip(first["curve"], again["curve"], strict=True):
        assert one["losses"] == pytest.approx(other["losses"], abs=1e-6)

    other, other_log, other_table = run_of("other", tokenizer_learning_rate=0.01, epochs=0)
    assert "tokenizer epoch 1" in other_log
    assert other["store"]["tokenizer_cached"] is False
    assert other_table.read_text() != first_table.read_text()


def test_objective_function_gets_the_figures_of_a_run(quick, tmp_path, monkeypatch):
    reported = {}
    told = SimpleNamespace(report=lambda **figures: reported.update(figures))
    monkeypatch.setitem(sys.modules, "ray.tune", told)  # as where ray runs the trials
    config_dict = {**quick, "model": "STORE", "dataset": "planted"}
    result = quick_start.objective_function(config_dict=config_dict)
    assert result["model"] == "STORE"
    assert reported == result["test_result"]
    assert result["test_result"] == quick_run(quick, tmp_path / "run")["test"]


def test_saved_data_are_loaded_again(quick, tmp_path, monkeypatch):
    from recbole.data import dataset as recbole_dataset

    settings = {**quick, "checkpoint_dir": str(tmp_path / "plain")}
    plain = quick_start.run_recbole(model="STORE", dataset="planted", config_dict=settings)
    saving = {"save_dataset": True, "save_dataloaders": True}
    settings = {**quick, **saving, "checkpoint_dir": str(tmp_path / "saved")}
    built = []
    original = recbole_dataset.STOREDataset.__init__

    def counted(self, config):
        built.append(config["dataset"])
        original(self, config)

    monkeypatch.setattr(recbole_dataset.STOREDataset, "__init__", counted)
    for _ in range(2):
        result = quick_start.run_recbole(
            model="STORE", dataset="planted", config_dict=dict(settings)
        )
    assert built == ["planted"]
    # The run that saves shuffles otherwise: RecBole takes the generators from loaders it saves.
    assert result == plain
    checkpoint = max((tmp_path / "saved").glob("STORE-*.pth"), key=os.path.getmtime)
    config, model, _, _, _, test = quick_start.load_data_and_model(str(checkpoint))
    assert built == ["planted"]
    trainer = get_trainer(config["MODEL_TYPE"], "STORE")(config, model)
    again = trainer.evaluate(test, load_best_model=False, show_progress=False)
    assert again == result["test_result"]


def test_a_run_s_checkpoint_loads_with_recbole(quick, tmp_path):
    result = quick_run(quick, tmp_path / "run")
    (checkpoint,) = (tmp_path / "run").glob("STORE-*.pth")
    config, model, _, _, _, test = quick_start.load_data_and_model(str(checkpoint))
    trainer = get_trainer(config["MODEL_TYPE"], "STORE")(config, model)
    again = trainer.evaluate(test, load_best_model=False, show_progress=False)
    assert dict(again) == result["test"]
