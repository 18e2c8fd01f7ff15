"""Coverage, Gini index, popularity and tail share: by hand, and against RecBole's evaluator."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from recbole.evaluator import metrics as recbole_metrics

from recbole_store.experiments.results.list_metrics import (
    average_popularity,
    gini_index,
    item_coverage,
    list_metrics,
    recommended_counts,
    shannon_entropy,
    tail_percentage,
)


def test_by_hand():
    assert recommended_counts([[3, 1], [3, 0]], 5, 1).tolist() == [0, 0, 0, 2, 0]
    assert recommended_counts([[3, 1], [3, 0]], 5, 2).tolist() == [0, 1, 0, 2, 0]
    counts, item_counts = np.array([0, 3, 1]), np.array([0, 10, 2])
    assert item_coverage(counts) == pytest.approx(2 / 3)
    assert average_popularity(counts, item_counts) == 8
    assert tail_percentage(counts, item_counts) == 0.25
    assert gini_index(np.array([1, 1])) == 0 and gini_index(np.array([0, 2])) == 0.5
    assert shannon_entropy(np.array([0, 1, 1])) == pytest.approx(np.log(2) / 2)


def test_nothing_recommended_has_no_figures():
    assert list_metrics(np.zeros(4), np.ones(4), 10) == {}


def test_equal_to_recbole_s_evaluator():
    rng, n_items, k = np.random.default_rng(5), 60, 10
    items = np.array([rng.permutation(np.arange(1, 45))[:k] for _ in range(70)])
    item_counts = np.r_[0, rng.integers(0, 20, n_items - 1)]
    seen = {int(i): int(c) for i, c in enumerate(item_counts) if c}
    needs = {"rec.items": torch.tensor(items), "data.num_items": n_items}
    needs["data.count_items"] = Counter(seen)
    config = {"topk": [k], "metric_decimal_place": 10, "tail_ratio": None}
    ours = list_metrics(recommended_counts(items, n_items, k), item_counts, k)
    for name in ("ItemCoverage", "GiniIndex", "AveragePopularity", "TailPercentage"):
        theirs = getattr(recbole_metrics, name)(config).calculate_metric(needs)
        assert ours[f"{name.lower()}@{k}"] == pytest.approx(theirs[f"{name.lower()}@{k}"], abs=1e-9)
    entropy = recbole_metrics.ShannonEntropy(config).calculate_metric(needs)
    assert ours[f"shannonentropy@{k}"] == pytest.approx(entropy[f"shannonentropy@{k}"], abs=1e-9)
