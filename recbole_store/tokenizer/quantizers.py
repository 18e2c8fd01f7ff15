"""Dense tokens -> codes: STORE's palette, a codebook of its own for each slot."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from torch import Tensor


class Palette(NamedTuple):
    """PCA and k-means of each slot; what is needed to give any item its codes.

    P is the number of principal components.
    """

    mean: Tensor  # [L, H]
    components: Tensor  # [L, P, H]
    codebooks: Tensor  # [L, C, P]

    def assign(self, dense: Tensor) -> Tensor:
        """Dense tokens [N, L, H] -> the nearest codes, int64 [N, L]."""
        by_slot = (dense - self.mean).transpose(0, 1)  # [L, N, H]
        projected = by_slot @ self.components.transpose(1, 2)  # [L, N, P]
        # |x - c|^2 without |x|^2, which is the same for every c.
        distance = self.codebooks.square().sum(-1)[:, None] - 2 * (
            projected @ self.codebooks.transpose(1, 2)
        )
        return distance.argmin(-1).T.contiguous()


def fit_palette(dense: Tensor, codebook_size: int, pca_dim: int, seed: int) -> Palette:
    """Fit PCA and k-means on each slot (LAMIA, arXiv 2409.07276v3).

    Args:
        dense: [N, L, H], the items that the codebooks are made from.
        codebook_size: C, at most N.
        pca_dim: P, at most min(N, H).

    Raises:
        ValueError: fewer items than codes.
    """
    n_items, n_slots, hidden_size = dense.shape
    if codebook_size > n_items:
        raise ValueError(f"codebook_size is {codebook_size}, but there are {n_items} items.")
    means, components, codebooks = [], [], []
    for slot in range(n_slots):
        tokens = dense[:, slot].double().cpu().numpy()
        pca = PCA(n_components=min(pca_dim, n_items, hidden_size), random_state=seed)
        projected = pca.fit_transform(tokens)
        kmeans = KMeans(n_clusters=codebook_size, n_init=4, random_state=seed).fit(projected)
        means.append(pca.mean_)
        components.append(pca.components_)
        codebooks.append(kmeans.cluster_centers_)
    return Palette(*(torch.from_numpy(np.stack(p)).float() for p in (means, components, codebooks)))


def code_means(dense: Tensor, codes: Tensor, codebook_size: int) -> tuple[Tensor, Tensor]:
    """Mean dense token of the items that carry each code, the slot's overall mean taken off.

    Every dense token of a slot shares one large component, which would make all codes alike.

    Returns:
        means [L, C, H] and counts [L, C]; a code that no item carries has mean 0 and count 0.
    """
    n_items, n_slots, hidden_size = dense.shape
    centred = dense - dense.mean(dim=0)
    means = dense.new_zeros(n_slots, codebook_size, hidden_size)
    counts = dense.new_zeros(n_slots, codebook_size)
    for slot in range(n_slots):
        means[slot].index_add_(0, codes[:, slot], centred[:, slot])
        counts[slot] = torch.bincount(codes[:, slot], minlength=codebook_size)
    return means / counts.clamp(min=1)[..., None], counts
