"""Neighbours on the planted data: texts say what follows, and histories put it together."""

from __future__ import annotations

import pytest
from planted_store import working_in

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
