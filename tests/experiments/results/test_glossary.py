"""What is said of figures is what they are."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from recbole_store.experiments.results import glossary, list_metrics
from recbole_store.experiments.results.tidy import figures


def test_every_figure_of_lists_and_semantic_ids_is_explained():
    arrays = {"item_counts": np.array([0, 3, 1])}
    for name in ("unfiltered", "filtered"):
        arrays[f"recommended_{name}"] = np.array([0, 1, 1])
    kept = SimpleNamespace(
        result={
            "valid": {},
            "test": {},
            "certain_topk": {"filtered": {"10": 0.5}},
            "store": {"items": 2, "utilisation": [1.0], "dead_codes": [0], "distinct": 2}
            | {"collision_rate": 0.0, "largest_group": 1, "entropy_bits": [1.0]}
            | {"items_without_text": 0, "reconstruction_loss": 2.0, "retokenized_same": 0.5},
        },
        arrays={**arrays, "depth": np.array(10)},
        masks={},
        own_slice="unfiltered/all",
        converged=None,
    )
    names = {metric.partition("@")[0] for _, metric in figures(kept)}
    assert names == {*glossary.LISTS, *glossary.SEMANTIC_IDS}


@pytest.mark.parametrize(("n_items", "said"), [(10, "0.2303"), (1000, "0.0069")])
def test_shannon_entropy_falls_as_the_glossary_says(n_items, said):
    value = list_metrics.shannon_entropy(np.array([0] + [4] * n_items))
    assert f"{value:.4f}" == said
    assert f"give {said}" in glossary.LISTS["shannonentropy"][1]


def test_the_tail_of_tail_share_is_the_one_that_is_computed():
    assert list_metrics.TAIL_SHARE == 0.1
    assert "least popular tenth" in glossary.LISTS["tailpercentage"][1]


def test_only_figures_that_are_shown_are_explained():
    found = dict(glossary.terms({"ndcg", "giniindex"}))
    assert {"NDCG", "Gini index", "target"} <= set(found)
    assert not {"Recall", "dead codes"} & set(found)


def test_names():
    names = ("ndcg@10", "collision_rate", "giniindex@10", "auc")
    assert [glossary.metric_name(name) for name in names] == [
        *("NDCG@10", "collision rate", "Gini index@10", "auc")
    ]
