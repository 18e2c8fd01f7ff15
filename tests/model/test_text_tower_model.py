"""TextTower on the planted data, where texts say what follows; with cold items, too."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from planted_store import first_rows, working_in
from torch.testing import assert_close

from recbole_store.experiments.run import evaluate_cold
from recbole_store.experiments.run import run as run_module
from recbole_store.experiments.run.run import run_model
from recbole_store.generator.company import likeness_to_history
from recbole_store.settings.resolve import resolve


@pytest.fixture
def run(planted, tiny_llm, tmp_path):
    """``run(**typed)`` -> result of TextTower on the planted data."""

    def typed(**words) -> dict:
        settings = {
            "data_path": str(planted),
            "load_col": "{inter: [user_id, item_id, timestamp]}",
            "item_text": '{colour: "{}", shape: "{}"}',
            "backbone": str(tiny_llm),
            "topk": "[1, 5, 10]",
            "width": "32",
            "learning_rate": "0.01",
            "train_batch_size": "32",
            "epochs": "12",
            "eval_step": "6",
            "gpu_id": "",
            **words,
        }
        with working_in(tmp_path):
            found = resolve("TextTower", "planted", [], settings)
            return run_model("TextTower", "planted", found, tmp_path / "run")

    return typed


def test_texts_alone_say_what_follows(run):
    """The next item is the text's successor nine times of ten."""
    assert run()["test"]["recall@1"] > 0.6


def test_new_items_are_known_by_their_texts(run):
    metrics = run(cold_items="0.1", filter_history="False")["cold"]["metrics"]
    assert metrics["cold/only"]["recall@1"] > 0.3  # chance: one in six


def test_new_items_gain_by_likeness_of_features(run, monkeypatch):
    """Beside what all gain by likeness of vectors."""
    caught = []

    def test_cold(trainer, valid_data, test_data, config) -> dict:
        found = evaluate_cold.test_cold(trainer, valid_data, test_data, config)
        caught.extend([trainer.model.eval(), first_rows(test_data, 5)])
        return found

    monkeypatch.setattr(run_module, "test_cold", test_cold)
    run(cold_items="0.1", likeness_weight="4", epochs="1")
    model, batch = caught
    with torch.no_grad():
        after = model.full_sort_predict(batch)
        model.has_joined = False
        before = model.full_sort_predict(batch)
        unit = F.normalize(model.features, dim=-1)
        alike = likeness_to_history(unit, batch["item_id_list"], batch["item_length"])
    gain = torch.zeros_like(before)
    gain[:, model.cold_items] = 4 * alike[:, model.cold_items]
    assert_close(after - before, gain, rtol=1e-3, atol=1e-4)
    assert gain.abs().max() > 0.1


def test_company_is_added_in_ranking(run):
    assert run(together_weight="20")["test"] != run()["test"]
