"""Neighbours on the planted data: texts say what follows, and histories put it together."""

from __future__ import annotations

import pytest
import torch
from planted_data import planted_items
from planted_store import working_in
from scipy import sparse

from recbole_store.experiments.run.run import run_model
from recbole_store.model.neighbours import NeighbourScores
from recbole_store.settings.resolve import resolve
from recbole_store.tokenizer.nearest import bags_of_words


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
    assert run("together")["test"]["recall@10"] > 0.8


def test_texts_find_items_of_the_same_colour(run):
    """Successors have the colour in common, ten items of sixty."""
    found = run("text", filter_history="False")["test"]["recall@10"]
    assert 0.3 < found


def test_both_are_weighed(run):
    both, company = run(""), run("", text_weight="0")
    assert both["test"] != company["test"]
    assert company["test"]["recall@10"] > 0.8


def test_a_user_s_own_scores(planted, tmp_path):
    """By hand: an item's score is its company with the last two items, weighted."""

    texts = ["", *(f"{colour} {shape}" for _, colour, shape in planted_items()[:3])]
    together = sparse.csr_matrix([[0, 0, 0, 0], [0, 0, 2.0, 0], [0, 2.0, 0, 1.0], [0, 0, 1.0, 0]])
    scores = NeighbourScores(texts, together, decay=0.5)
    found = scores(torch.tensor([[1, 3]]), torch.tensor([2]), 0.0, 1.0)
    expected = 1 / (1 * 3) ** 0.5 + 0.5 * 2 / (2 * 3) ** 0.5
    assert found[0, 2].item() == pytest.approx(expected, rel=1e-5)
    words = scores(torch.tensor([[1, 3]]), torch.tensor([2]), 1.0, 0.0)
    vectors = bags_of_words(texts).toarray()
    assert words[0].tolist() == pytest.approx(vectors @ (vectors[3] + 0.5 * vectors[1]), rel=1e-5)
