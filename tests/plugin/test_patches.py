"""What patches.py mends is broken in RecBole.

A test here fails on the day RecBole has mended it: then its patch can go. What the patches do is
tested beside what needs them. Of the order of times (2204), test_register.py shows both.
"""

from __future__ import annotations

import os
import pickle
import sys
from contextlib import suppress
from types import SimpleNamespace

import pytest
import torch
from data_with_holes import config_of, write_holes
from pristine import pristine
from recbole.data import create_dataset, data_preparation
from recbole.trainer import HyperTuning
from recbole.utils import get_model

from recbole_store.errors import SettingsError
from recbole_store.experiments.run.build import CheckedConfig


@pytest.fixture
def data(tmp_path):
    """``data(case)`` -> config and loaders of RecBole's."""
    write_holes(tmp_path / "data")

    def load(case: str, **more):
        config = config_of(case, tmp_path / "data", **more)
        return config, data_preparation(config, create_dataset(config))

    return load


def test_sine_switches_anomaly_mode_on():
    assert not torch.is_anomaly_enabled()
    try:
        pristine("recbole.model.sequential_recommender.sine")
        assert torch.is_anomaly_enabled()
    finally:
        torch.autograd.set_detect_anomaly(False)


def test_plain_numbers_cannot_be_collected(data):
    """2191"""
    config, _ = data("plain", metrics=["ItemCoverage"], valid_metric="ItemCoverage@10")
    collector = pristine("recbole.evaluator.collector").Collector(config)
    collector.data_struct.set("data.num_items", 5)
    with pytest.raises(AttributeError, match="cpu"):
        collector.get_data_struct()


def test_no_more_items_can_be_asked_for_than_there_are(data, monkeypatch):
    """1440, and RecBole's case study"""
    config, _ = data("plain", metrics=["Recall"], valid_metric="Recall@50", topk=[50])
    collector = pristine("recbole.evaluator.collector").Collector(config)
    scores, first = torch.rand(1, 5), torch.tensor([0])
    with pytest.raises(RuntimeError, match="out of range"):
        collector.eval_batch_collect(scores, None, first, first)
    case_study = pristine("recbole.utils.case_study")
    monkeypatch.setattr(case_study, "full_sort_scores", lambda *_: scores)
    with pytest.raises(RuntimeError, match="out of range"):
        case_study.full_sort_topk(None, None, None, k=50)


def test_torch_refuses_a_checkpoint(data, tmp_path, monkeypatch):
    """2215"""
    monkeypatch.delenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", raising=False)
    config, _ = data("plain")
    torch.save({"config": config, "epoch": 0}, tmp_path / "checkpoint.pth")
    resume = pristine("recbole.trainer.trainer").Trainer.resume_checkpoint
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        resume(SimpleNamespace(device="cpu"), tmp_path / "checkpoint.pth")


def test_recbole_s_search_says_what_to_use_without_its_hyperopt(monkeypatch):
    """1868"""
    monkeypatch.setitem(sys.modules, "hyperopt", None)
    given = {"objective_function": None, "params_dict": {"choice": {"epochs": [1]}}}
    with pytest.raises(ModuleNotFoundError, match="hyperopt"):
        pristine("recbole.trainer.hyper_tuning").HyperTuning(**given)
    with pytest.raises(SettingsError, match="recbole-store tune --model=MODEL"):
        HyperTuning(**given)


def test_an_item_twice_in_a_batch_counts_once(data):
    """2198"""
    config, (train, *_) = data("plain")
    pop = pristine("recbole.model.general_recommender.pop").Pop(config, train.dataset)
    pop.calculate_loss({pop.ITEM_ID: torch.tensor([3, 3, 3, 5])})
    assert pop.item_cnt[[3, 5], 0].tolist() == [1, 1]


def test_sequential_models_cannot_hide_what_a_user_had(data):
    """1449: RecBole's own key refuses it."""
    with pytest.raises(ValueError, match="only support repeatable"):
        data("histories", repeatable=False)


def test_embeddings_of_a_data_set_may_be_a_pickle(data, tmp_path):
    """Which is executed; LDiffRec as it is mended reads an array, and a pickle never."""
    config, (train, *_) = data("plain")
    (tmp_path / "item_emb.npy").write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
    given = {key: config[key] for key in ("USER_ID_FIELD", "ITEM_ID_FIELD")}
    settings = CheckedConfig("LDiffRec", config["dataset"], config_dict={**given, "n_cate": 2})
    train.dataset.dataset_path = str(tmp_path)
    mended = get_model("LDiffRec")
    with pytest.raises(SettingsError, match="item_emb.npy is no array of numbers"):
        mended(settings, train.dataset)
    assert not (tmp_path / "exploded").exists()
    with suppress(Exception):
        pristine("recbole.model.general_recommender.ldiffrec").LDiffRec(settings, train.dataset)
    assert (tmp_path / "exploded").exists()


class Bomb:
    """Makes a folder where it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)
