"""Neighbours on the planted data: texts say what follows, and histories put it together."""

from __future__ import annotations

import numpy as np
import pytest
from planted_store import working_in
from recbole.data import data_preparation
from recbole.utils import get_model

from recbole_store.experiments.run.build import build
from recbole_store.experiments.run.run import run_model
from recbole_store.settings.resolve import resolve


@pytest.fixture
def run(planted, tmp_path):
    """``run(variant, **typed)`` -> result of Neighbours on the planted data."""

    def of_variant(variant: str, **typed) -> dict:
        words = {
            "data_path": str(planted),
            "load_col": "{inter: [user_id, item_id, timestamp]}",
            "item_text": '{colour: "{}", shape: "{}"}',
            "topk": "[1, 5, 10]",
            "gpu_id": "",
            **typed,
        }
        with working_in(tmp_path):
            settings = resolve("Neighbours", "planted", [], words, variant=variant)
            return run_model("Neighbours", "planted", settings, tmp_path / "run", variant)

    return of_variant


def test_company_finds_what_follows(run):
    """The next item is the text's successor nine times of ten; chance is one in six."""
    result = run("together")
    assert result["test"]["recall@10"] > 0.8
    assert result["converged"], "there is nothing that more training would change"


def test_texts_find_items_of_the_same_colour(run):
    """Successors have the colour in common, ten items of sixty."""
    found = run("text", filter_history="False")["test"]["recall@10"]
    assert 0.3 < found


def test_both_are_weighed(run):
    both, company = run(""), run("", text_weight="0")
    assert both["test"] != company["test"]
    assert company["test"]["recall@10"] > 0.8


def test_new_items_have_the_company_of_like_texts(planted):
    words = {"data_path": str(planted), "item_text": '{colour: "{}", shape: "{}"}', "gpu_id": ""}
    cold = {"cold_items": "0.1", "filter_history": "False"}
    settings = resolve("Neighbours", "planted", [], {**words, **cold})
    config, dataset = build("Neighbours", "planted", {**settings, "show_progress": False})
    train, *_ = data_preparation(config, dataset)
    model = get_model("Neighbours")(config, train.dataset)
    new = model.cold_items.numpy()
    known = np.setdiff1d(np.arange(1, model.n_items), new)
    before = model.company.together.toarray()
    assert not before[new].any(), "no training history has them"
    model.admit_new_items()
    after = model.company.together.toarray()
    alike = (model.words[new] @ model.words[known].T).toarray()
    for item, row in zip(new, alike, strict=True):
        nearest = known[np.argsort(-row, kind="stable")[:5]]
        np.testing.assert_allclose(after[item, known], before[nearest][:, known].mean(0), atol=1e-6)
