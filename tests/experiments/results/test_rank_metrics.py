"""Metrics of single users: by hand, and against RecBole's own evaluator on planted ranks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from recbole.evaluator import metrics as recbole_metrics

from recbole_store.experiments.results.rank_metrics import (
    PER_USER,
    is_by_rank,
    mean_and_error,
    mrr,
    ndcg,
    per_user,
    precision,
    recall,
)


@pytest.mark.parametrize(
    ("metric", "k", "values"),
    [
        (recall, 2, [1, 1, 0, 0]),
        (recall, 3, [1, 1, 1, 0]),
        (ndcg, 3, [1, 1 / np.log2(3), 0.5, 0]),
        (ndcg, 2, [1, 1 / np.log2(3), 0, 0]),
        (mrr, 3, [1, 0.5, 1 / 3, 0]),
        (mrr, 1, [1, 0, 0, 0]),
        (precision, 2, [0.5, 0.5, 0, 0]),
    ],
)
def test_by_hand(metric, k, values):
    assert metric(np.array([1, 2, 3, 0]), k) == pytest.approx(values)


@pytest.mark.parametrize("name", ["Recall", "NDCG", "MRR", "Hit", "Precision"])
def test_equal_to_recbole_s_evaluator(name):
    """200 planted ranks, some of them out of the list."""
    from recbole.config import Config

    Config.compatibility_settings(None)  # NumPy's old names, which RecBole's metrics use
    topk = [1, 5, 10, 20]
    ranks = np.random.default_rng(3).integers(0, 40, size=200)
    hits = torch.zeros(len(ranks), max(topk) + 1, dtype=torch.int)
    hits[:, -1] = 1  # one target each
    for user, rank in enumerate(ranks):
        if 1 <= rank <= max(topk):
            hits[user, rank - 1] = 1
    config = {"topk": topk, "metric_decimal_place": 10}
    theirs = getattr(recbole_metrics, name)(config).calculate_metric({"rec.topk": hits})
    assert len(theirs) == len(topk)
    for metric, value in theirs.items():
        assert per_user(ranks, metric).mean() == pytest.approx(value, abs=1e-9), metric
    assert {m.partition("@")[0] for m in theirs} <= set(PER_USER)


def test_which_metrics_follow_from_a_rank():
    assert all(map(is_by_rank, ("recall@10", "hit@3", "precision@1", "mrr@10", "ndcg@20")))
    assert not any(map(is_by_rank, ("itemcoverage@10", "ndcg", "ndcg@", "auc", "fit_s")))


def test_small_unsigned_ranks_do_not_overflow():
    ranks = np.array([65535, 1, 0], dtype=np.uint16)
    assert ndcg(ranks, 65535)[0] == pytest.approx(1 / 16)
    assert mrr(ranks, 10).tolist() == [0, 1, 0]


def test_mean_and_error():
    mean, error = mean_and_error(np.array([1, 0, 1, 0]))
    assert (mean, error) == (0.5, pytest.approx(0.57735 / 2, abs=1e-5))
    assert mean_and_error(np.array([0.3])) == (0.3, None)
