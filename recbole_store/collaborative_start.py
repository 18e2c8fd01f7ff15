"""Items' own vectors start from what training histories put together, not from noise.

A vector of its own learns an item's company from the few histories that hold the item. The
co-occurrences of all histories say most of it at once, so that training begins where several
epochs from noise would have led. The factors are those of the pointwise mutual information, which
is what word2vec's embeddings factor as well (Levy and Goldberg, NIPS 2014).
"""

from __future__ import annotations

import torch
from torch import nn

from recbole_store.tokenizer.co_occurrence import co_occurrence, collaborative_factors


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
