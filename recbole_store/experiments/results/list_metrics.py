"""Metrics of what is recommended, whoever it is recommended to, equal to RecBole's evaluator.

All follow from how often each item stands in the users' lists. RecBole's definitions are kept,
padding counted as an item of the catalogue included.
"""

from __future__ import annotations

import numpy as np

TAIL_SHARE = 0.1  # RecBole's `tail_ratio`: the least popular tenth of the items seen in training


def recommended_counts(items: np.ndarray, n_items: int, k: int) -> np.ndarray:
    """How often each item is among the first k of a user.

    Args:
        items: int [U, K] item_ids, best first; 0 is no item.

    Example: items [[3, 1], [3, 2]], n_items 4, k 1 -> [0, 0, 0, 2]
    """
    counts = np.bincount(np.asarray(items)[:, :k].ravel(), minlength=n_items)
    counts[0] = 0
    return counts


def item_coverage(recommended: np.ndarray) -> float:
    """Share of the catalogue that is recommended to anybody.

    Example: [0, 0, 0, 2] -> 0.25
    """
    return float((recommended > 0).mean())


def gini_index(recommended: np.ndarray) -> float:
    """0 if all items are recommended alike, near 1 if few take all.

    sum_i (2i - n - 1) P(i) / (n sum_i P(i)) over counts P in rising order.

    Example: [1, 1] -> 0; [0, 2] -> 0.5
    """
    counts, n = np.sort(recommended), len(recommended)
    return float(((2 * np.arange(1, n + 1) - n - 1) * counts).sum() / (n * counts.sum()))


def average_popularity(recommended: np.ndarray, item_counts: np.ndarray) -> float:
    """Mean training count of the recommended items.

    Example: recommended [0, 3, 1], item_counts [0, 10, 2] -> 8
    """
    return float((recommended * item_counts).sum() / recommended.sum())


def tail_percentage(recommended: np.ndarray, item_counts: np.ndarray) -> float:
    """Share of the recommended items that are among the least popular tenth.

    Only items seen in training count, ties by item_id; at least one item is tail.

    Example: recommended [0, 3, 1], item_counts [0, 10, 2] -> 0.25
    """
    seen = np.flatnonzero(item_counts)
    by_count = seen[np.lexsort((seen, item_counts[seen]))]
    tail = by_count[: max(int(len(seen) * TAIL_SHARE), 1)]
    return float(recommended[tail].sum() / recommended.sum())


def shannon_entropy(recommended: np.ndarray) -> float:
    """Entropy of the recommended items in nats, over the number of items (RecBole's division).

    Example: [0, 1, 1] -> ln(2) / 2
    """
    counts = recommended[recommended > 0]
    shares = counts / counts.sum()
    return float(-(shares * np.log(shares)).sum() / len(counts))


def list_metrics(recommended: np.ndarray, item_counts: np.ndarray, k: int) -> dict[str, float]:
    """All of the above, by RecBole's names with cut-off."""
    recommended = np.asarray(recommended, dtype=np.int64)
    item_counts = np.asarray(item_counts, dtype=np.int64)
    if not recommended.any():
        return {}
    return {
        f"itemcoverage@{k}": item_coverage(recommended),
        f"giniindex@{k}": gini_index(recommended),
        f"averagepopularity@{k}": average_popularity(recommended, item_counts),
        f"tailpercentage@{k}": tail_percentage(recommended, item_counts),
        f"shannonentropy@{k}": shannon_entropy(recommended),
    }
