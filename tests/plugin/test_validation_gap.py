"""validation_gap: what is left out of training, and that nothing else changes."""

from __future__ import annotations

import random

import pytest
import torch
from recbole.data import data_preparation
from torch import Tensor

from recbole_store.errors import SettingsError
from recbole_store.experiments.run.build import build
from recbole_store.experiments.run.run import run_model
from recbole_store.plugin.seen_items import history_pairs
from recbole_store.settings.resolve import resolve
from run_recbole_store import main

SPLITS = ("train", "valid", "test")


@pytest.fixture
def data_path(write_dataset):
    rng = random.Random(5)
    rows = [
        (f"u{user}", f"i{rng.randrange(40)}", step)
        for user in range(60)
        for step in range(5 + user % 15)
    ]
    rng.shuffle(rows)
    return write_dataset("some", rows)


def load(model, data_path, **typed):
    typed = {"data_path": data_path, "gpu_id": "", "filter_history": True, **typed}
    settings = resolve(model, "some", [], {key: str(value) for key, value in typed.items()})
    config, dataset = build(model, "some", settings)
    loaders = data_preparation(config, dataset)
    return dict(zip(SPLITS, loaders, strict=True))


def targets_of_users(loader) -> dict[int, list]:
    rows, found = loader._dataset.inter_feat, {}
    lists = rows["item_id_list"].tolist() if "item_id_list" in rows else [None] * len(rows)
    for user, *row in zip(rows["user_id"].tolist(), rows["item_id"].tolist(), lists, strict=True):
        found.setdefault(user, []).append(row)
    return found


@pytest.mark.parametrize("model", ["SASRec", "BPR"])
@pytest.mark.parametrize("gap", [1, 2])
def test_each_users_last_training_targets_go_and_nothing_else(data_path, model, gap):
    whole, cut = load(model, data_path), load(model, data_path, validation_gap=gap)
    for name in ("valid", "test"):
        assert targets_of_users(cut[name]) == targets_of_users(whole[name])
    before, after = targets_of_users(whole["train"]), targets_of_users(cut["train"])
    assert after == {user: rows[:-gap] for user, rows in before.items() if rows[:-gap]}
    assert len(after) >= 40


def test_the_items_in_the_gap_are_still_hidden(data_path):
    whole, cut = load("BPR", data_path), load("BPR", data_path, validation_gap=1)
    for name in ("valid", "test"):
        batch = next(iter(whole[name]))[0]
        hidden = [history_pairs(part[name]._dataset, batch, None) for part in (whole, cut)]
        whole_pairs, cut_pairs = ({*zip(*map(Tensor.tolist, p), strict=True)} for p in hidden)
        assert cut_pairs == whole_pairs and len(cut_pairs) > 100


def test_windows_hold_the_targets_that_remain(data_path):
    train = load("SASRecAll", data_path, validation_gap=1)["train"]._dataset
    rows = [train[torch.tensor([row])] for row in range(len(train))]
    assert sum(int(row["item_length"]) for row in rows) == train.n_targets == len(train.inter_feat)
    plain = load("SASRecAll", data_path)["train"]._dataset
    assert len(plain.inter_feat) - len(train.inter_feat) == 60


def test_with_cold_items(data_path):
    cold = load("SASRec", data_path, cold_items=0.2)
    both = load("SASRec", data_path, cold_items=0.2, validation_gap=1)
    before, after = targets_of_users(cold["train"]), targets_of_users(both["train"])
    assert after == {user: rows[:-1] for user, rows in before.items() if rows[:-1]}
    assert targets_of_users(cold["test"]) == targets_of_users(both["test"])


def test_a_run_records_it(planted, tmp_path):
    typed = {"data_path": str(planted), "gpu_id": "", "validation_gap": "1", "epochs": "1"}
    settings = {**resolve("SASRecAll", "planted", [], typed), "show_progress": False}
    assert (
        run_model("SASRecAll", "planted", settings, tmp_path)["hashed_settings"]["validation_gap"]
        == 1
    )


def test_its_runs_are_not_kept_among_others(planted, tmp_path, capsys):
    words = ["--model=Pop", "--dataset=planted", f"--data_path={planted}", "--validation_gap=1"]
    for more in (["--seeds=2"], []):
        assert main([*words, *more, f"--results={tmp_path / 'results'}"]) == 2
        assert "not kept in a results folder" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ({"validation_gap": 0}, "at least 1"),
        ({"validation_gap": 100}, "no training target"),
        ({"validation_gap": 1, "repeatable": False}, "repeatable"),
        ({"validation_gap": 1, "eval_args": "{mode: uni20}"}, "whole catalogue"),
        ({"validation_gap": 1, "eval_args": "{split: {RS: [8, 1, 1]}}"}, "leave-one-out"),
    ],
)
def test_what_makes_no_gap_is_refused(data_path, typed, message):
    with pytest.raises(SettingsError, match=message):
        load("SASRec", data_path, **typed)
