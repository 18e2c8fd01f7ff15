"""The diary lies in the run's folder; MLflow is told the same figures, and only if asked."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
from recbole.trainer import trainer as recbole_trainer

from recbole_store.errors import SettingsError
from recbole_store.plugin.diary import diary_in


class Refused(Exception):
    """As MlflowException."""


@pytest.fixture
def mlflow(monkeypatch):
    """A stand-in that keeps what it is told."""
    told = []
    fake = SimpleNamespace(
        start_run=lambda run_name: told.append(run_name),
        log_metric=lambda name, value, step: told.append((name, value, step)),
        exceptions=SimpleNamespace(MlflowException=Refused),
        told=told,
    )
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    return fake


def test_mlflow_is_told_what_tensorboard_is(mlflow, tmp_path):
    usual = recbole_trainer.get_tensorboard
    with diary_in(tmp_path / "run" / "tensorboard", with_mlflow=True):
        diary = recbole_trainer.get_tensorboard(None)
    diary.add_scalar("Test/ndcg@10", 0.5, 3)
    assert mlflow.told == ["run", ("Test/ndcg_at_10", 0.5, 3)]
    assert any((tmp_path / "run" / "tensorboard").glob("events.*"))
    assert recbole_trainer.get_tensorboard is usual


def test_mlflow_is_told_nothing_unasked(mlflow, tmp_path):
    with diary_in(tmp_path / "run" / "tensorboard"):
        recbole_trainer.get_tensorboard(None).add_scalar("Loss", 0.5, 3)
    assert mlflow.told == []


def test_a_server_that_refuses_is_one_sentence(mlflow, tmp_path):
    def refuse(run_name):
        raise Refused("no such server")

    mlflow.start_run = refuse
    with diary_in(tmp_path / "run" / "tensorboard", with_mlflow=True):
        with pytest.raises(SettingsError, match="MLflow cannot begin a run: no such server"):
            recbole_trainer.get_tensorboard(None)
