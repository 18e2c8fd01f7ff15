"""Which items histories put together, as one vector an item: the collaborative signal for codes.

Codes made from texts alone leave the recommender to learn from scratch what goes with what;
tokenizers that know it do better (CoST, LETTER). Here it only says which items the contrastive
loss should draw together, so any item, new ones too, is still tokenized from its text.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from torch import Tensor

REACH = 5  # steps between two items of a history that still count as together


def co_occurrence(histories: np.ndarray, lengths: np.ndarray, targets: np.ndarray, n_items: int):
    """How often items follow each other within REACH steps, symmetric, nearer counts more.

    Args:
        histories: item_ids [n_rows, T], right-padded; one row a target, as RecBole keeps them.
        lengths, targets: [n_rows].

    Returns:
        CSR matrix, float [n_items, n_items].
    """
    rows, columns, weights = [], [], []
    for step in range(1, REACH + 1):
        reached = np.flatnonzero(lengths >= step)
        rows.append(histories[reached, lengths[reached] - step])
        columns.append(targets[reached])
        weights.append(np.full(len(reached), 1.0 / step))
    pairs = (np.concatenate(rows), np.concatenate(columns))
    counts = sparse.csr_matrix((np.concatenate(weights), pairs), shape=(n_items, n_items))
    counts = (counts + counts.T).tocsr()
    counts.sum_duplicates()  # one order of entries, whatever the rows' order was
    return counts


def collaborative_factors(counts, n_factors: int, seed: int) -> Tensor:
    """Truncated SVD of the positive pointwise mutual information of ``counts``.

    Returns:
        fp32 [n_items, F] of unit length; 0 for items that never occur with another.
    """
    counts = sparse.coo_matrix(counts)
    totals = np.asarray(counts.sum(1)).ravel()
    expected = (totals[counts.row] + 1) * (totals[counts.col] + 1) / max(totals.sum(), 1.0)
    information = np.maximum(np.log(counts.data / expected), 0.0)
    ppmi = sparse.csr_matrix((information, (counts.row, counts.col)), shape=counts.shape)
    n_factors = min(n_factors, min(counts.shape) - 1)
    svd = TruncatedSVD(n_factors, random_state=seed)
    # U * sqrt(S): the usual half of the spectrum for similarities between items.
    factors = svd.fit_transform(ppmi) / np.sqrt(np.maximum(svd.singular_values_, 1e-12))
    factors[np.asarray(ppmi.sum(1)).ravel() == 0] = 0.0  # rounding is no direction
    return torch.nn.functional.normalize(torch.from_numpy(factors).float(), dim=-1)
