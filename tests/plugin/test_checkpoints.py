"""Nothing is unpickled but checkpoints that a person names or that this process wrote."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from planted_store import make_model, make_trainer, prepare, store_settings, working_in
from recbole.data import create_dataset, data_preparation
from recbole.quick_start import load_data_and_model
from recbole.utils import get_model, get_trainer

from recbole_store.errors import DamagedState
from recbole_store.experiments.run.build import build
from recbole_store.plugin.checkpoints import ALLOWED, load_weights, save_weights, unpickling


class Bomb:
    """Writes a file where it is unpickled."""

    def __reduce__(self):
        return (os.mkdir, (str(Path("exploded").absolute()),))


@pytest.fixture(scope="module")
def prepared(tiny_llm, planted, tmp_path_factory):
    with working_in(tmp_path_factory.mktemp("checkpoints")):
        yield prepare(store_settings(tiny_llm, planted))


def test_the_process_is_not_told_to_unpickle():
    """In a fresh process, as other code may have set it here."""
    code = f"import os, recbole_store; print(os.environ.get({ALLOWED!r}))"
    environment = {name: value for name, value in os.environ.items() if name != ALLOWED}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == "None"


@pytest.mark.parametrize("before", [None, "0"])
def test_it_is_allowed_for_a_moment_and_then_as_before(monkeypatch, before):
    monkeypatch.delenv(ALLOWED, raising=False)
    if before is not None:
        monkeypatch.setenv(ALLOWED, before)
    with pytest.raises(KeyError), unpickling():
        assert os.environ[ALLOWED] == "1"
        raise KeyError
    assert os.environ.get(ALLOWED) == before


def test_importing_leaves_torch_load_strict(monkeypatch):
    monkeypatch.delenv(ALLOWED, raising=False)
    Path("bomb.pth").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(Exception, match="[Ww]eights"):
        torch.load("bomb.pth")
    assert not Path("exploded").exists()


def test_our_trainers_take_the_best_epoch_from_safetensors(prepared, tmp_path):
    model = make_model(prepared)
    trainer = make_trainer(prepared, model, checkpoint_dir=str(tmp_path))
    trainer._save_checkpoint(0, verbose=False)
    best = {name: weight.clone() for name, weight in model.state_dict().items()}
    Path(trainer.saved_model_file).write_bytes(pickle.dumps(Bomb()))
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(1.0)
    model.trie = None
    trainer.evaluate(prepared.test, load_best_model=True)
    assert all(torch.equal(weight, best[n]) for n, weight in model.state_dict().items())
    assert model.trie is not None, "the items' tree is remade"
    assert not Path("exploded").exists()


def test_two_trainers_of_one_second_have_files_of_their_own(prepared, tmp_path):
    model = make_model(prepared)
    trainers = [make_trainer(prepared, model, checkpoint_dir=str(tmp_path)) for _ in range(2)]
    assert len({trainer.saved_model_file for trainer in trainers}) == 2
    assert len({trainer.weights_file for trainer in trainers}) == 2


@pytest.fixture
def sasrec(planted, tmp_path):
    """RecBole's own trainer, model and test data."""
    settings = {
        "data_path": str(planted),
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "checkpoint_dir": str(tmp_path / "saved"),
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full"},
        "train_neg_sample_args": None,
        "epochs": 1,
        "hidden_size": 8,
        "inner_size": 8,
        "gpu_id": "",
        "show_progress": False,
        "topk": [5],
        "valid_metric": "NDCG@5",
        "MAX_ITEM_LIST_LENGTH": 6,
    }
    config, dataset = build("SASRec", "planted", settings)
    train, _, test = data_preparation(config, dataset)
    model = get_model("SASRec")(config, train.dataset)
    return get_trainer(config["MODEL_TYPE"], "SASRec")(config, model), test


def test_recbole_s_trainers_load_what_they_wrote_or_are_told_to(sasrec, monkeypatch):
    monkeypatch.delenv(ALLOWED, raising=False)
    trainer, test = sasrec
    trainer._save_checkpoint(0, verbose=False)
    own = trainer.evaluate(test)
    assert trainer.evaluate(test, model_file=trainer.saved_model_file) == own
    trainer.resume_checkpoint(trainer.saved_model_file)
    assert trainer.start_epoch == 1 and ALLOWED not in os.environ
    # A file that lies where its own would be, and that nobody has named.
    trainer.saved_model_file = "saved/planted.pth"
    Path("saved").mkdir(exist_ok=True)
    Path("saved/planted.pth").write_bytes(pickle.dumps({"state_dict": {}, "bomb": Bomb()}))
    with pytest.raises(Exception, match="[Ww]eights"):
        trainer.evaluate(test)
    assert not Path("exploded").exists()


def test_a_named_checkpoint_loads_with_recbole(sasrec, monkeypatch):
    monkeypatch.delenv(ALLOWED, raising=False)
    trainer, test = sasrec
    trainer._save_checkpoint(0, verbose=False)
    own = trainer.evaluate(test)
    config, model, _, _, _, test = load_data_and_model(trainer.saved_model_file)
    assert ALLOWED not in os.environ
    other = get_trainer(config["MODEL_TYPE"], "SASRec")(config, model)
    assert other.evaluate(test, load_best_model=False) == own


def test_weights_of_another_model_are_refused(prepared, tmp_path):
    path = tmp_path / "best.safetensors"
    save_weights(path, torch_model(3))
    load_weights(path, torch_model(3))
    with pytest.raises(DamagedState, match="another model"):
        load_weights(path, torch_model(4))
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(DamagedState, match="checksum"):
        load_weights(path, torch_model(3))
    with pytest.raises(DamagedState, match="nowhere"):
        load_weights(tmp_path / "nowhere", torch_model(3))


def torch_model(width: int) -> torch.nn.Module:
    model = torch.nn.Linear(width, 2)
    model.other_parameter = lambda: {"seen": torch.ones(2)}
    model.load_other_parameter = lambda other: None
    return model


def test_a_saved_data_set_is_recbole_s_own_affair(sasrec):
    """Outside of this package's commands RecBole reads what it has saved, as ever."""
    trainer, _ = sasrec
    dataset = create_dataset(trainer.config)
    dataset.save()
    assert create_dataset(trainer.config).inter_num == dataset.inter_num
