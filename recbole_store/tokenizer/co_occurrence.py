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
from torch import Tensor, nn

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


def training_co_occurrence(dataset, n_items: int):
    """How often the rows of a training split put items together, [n_items, n_items], CSR."""
    rows = dataset.inter_feat
    return co_occurrence(
        rows[getattr(dataset, f"{dataset.iid_field}_list_field")].numpy(),
        rows[dataset.item_list_length_field].numpy(),
        rows[dataset.iid_field].numpy(),
        n_items,
    )


@torch.no_grad()
def start_from_co_occurrence(vectors: nn.Embedding, length: float, dataset, seed: int) -> None:
    """Add items' collaborative factors to their random vectors.

    Items that no training history puts beside another, such as new ones, stay as they are.

    Args:
        vectors: by item_id; where they are wider than there are factors, the last components stay.
        length: of what is added to a vector.
        dataset: RecBole's, of the training split.
    """
    n_items, width = vectors.weight.shape
    factors = collaborative_factors(training_co_occurrence(dataset, n_items), width, seed)
    vectors.weight[:, : factors.size(1)] += length * factors.to(vectors.weight)
