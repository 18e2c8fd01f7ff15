"""Dense tokens -> codes: STORE's palette, a codebook of its own for each slot."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.decomposition import PCA
from torch import Tensor

# Items from which on PCA works on the covariance and k-means on mini-batches: the exact ways take
# half a minute for so many, and grow.
LARGE = 50_000


class Palette(NamedTuple):
    """PCA and k-means of each slot; what is needed to give any item its codes.

    P is the number of principal components, C the codes of a level.
    """

    mean: Tensor  # [L, H]
    shifts: Tensor  # [L, L, C, H]; [l, j, c]: what code c of slot j < l says of slot l's tokens
    components: Tensor  # [L, P, H]
    codebooks: Tensor  # [L, C, P]

    @staticmethod
    def shapes(n_slots: int, codebook_size: int, pca_dim: int, hidden_size: int) -> Palette:
        """The shape of each part."""
        return Palette(
            (n_slots, hidden_size),
            (n_slots, n_slots, codebook_size, hidden_size),
            (n_slots, pca_dim, hidden_size),
            (n_slots, codebook_size, pca_dim),
        )

    def assign(self, dense: Tensor) -> Tensor:
        """Dense tokens [N, L, H] -> the nearest codes, int64 [N, L]."""
        return self.read(dense)[0]

    def read(self, dense: Tensor) -> tuple[Tensor, Tensor]:
        """Dense tokens [N, L, H] -> the nearest codes [N, L], and the points they are nearest to.

        Points are all slots' principal components behind each other, [N, L * P].
        """
        codes: list[Tensor] = []
        points: list[Tensor] = []
        for slot in range(dense.size(1)):
            tokens = dense[:, slot] - self.mean[slot]
            for earlier, code in enumerate(codes):
                tokens = tokens - self.shifts[slot, earlier, code]
            points.append(tokens @ self.components[slot].T)
            codes.append(_nearest(points[-1], self.codebooks[slot]))
        return torch.stack(codes, dim=1), torch.cat(points, dim=1)


def _nearest(points: Tensor, centroids: Tensor) -> Tensor:
    """Index of the nearest centroid [C, P] to each point [N, P]."""
    # |x - c|^2 without |x|^2, which is the same for every c.
    return (centroids.square().sum(-1) - 2 * points @ centroids.T).argmin(-1)


def fit_palette(dense: Tensor, codebook_size: int, pca_dim: int, seed: int) -> Palette:
    """Fit PCA and k-means on each slot (LAMIA, arXiv 2409.07276v3).

    Slots of one text say much the same. So a slot is clustered by what it adds: the mean of its
    tokens among the items that carry an earlier slot's code is taken off first, slot by slot.

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
    n_components = min(pca_dim, n_items, hidden_size)
    shapes = Palette.shapes(n_slots, codebook_size, n_components, hidden_size)
    palette = Palette(*(torch.zeros(shape) for shape in shapes))
    codes: list[Tensor] = []
    for slot in range(n_slots):
        palette.mean[slot] = dense[:, slot].mean(dim=0)
        tokens = dense[:, slot] - palette.mean[slot]
        for earlier, code in enumerate(codes):
            shift, _ = _mean_per_code(tokens, code, codebook_size)
            palette.shifts[slot, earlier] = shift
            tokens = tokens - shift[code]
        points = tokens.double().cpu().numpy()
        # No centring of PCA's own: the mean is off already.
        solver = "covariance_eigh" if n_items > LARGE else "full"
        axes = PCA(n_components, svd_solver=solver).fit(points).components_
        palette.components[slot] = torch.from_numpy(axes)
        centroids = _cluster(points @ axes.T, codebook_size, seed)
        palette.codebooks[slot] = torch.from_numpy(centroids)
        codes.append(_nearest(tokens @ palette.components[slot].T, palette.codebooks[slot]))
    return palette


def _cluster(points: np.ndarray, codebook_size: int, seed: int) -> np.ndarray:
    """Centroids [C, P] of points [N, P]; of a large catalogue, by mini-batches."""
    kind, options = KMeans, {}
    if len(points) > LARGE:
        kind, options = MiniBatchKMeans, {"batch_size": 32 * codebook_size}
    kmeans = kind(n_clusters=codebook_size, n_init=4, random_state=seed, **options)
    return kmeans.fit(points).cluster_centers_


def _mean_per_code(tokens: Tensor, codes: Tensor, codebook_size: int) -> tuple[Tensor, Tensor]:
    """Mean of the tokens [N, H] with each code, [C, H] (0 where none has it), and counts [C]."""
    counts = torch.bincount(codes, minlength=codebook_size)
    sums = tokens.new_zeros(codebook_size, tokens.size(1)).index_add_(0, codes, tokens)
    return sums / counts.clamp(min=1)[:, None], counts


def code_means(dense: Tensor, codes: Tensor, codebook_size: int) -> tuple[Tensor, Tensor]:
    """Mean dense token of the items that carry each code, the slot's overall mean taken off.

    Every dense token of a slot shares one large component, which would make all codes alike.

    Returns:
        means [L, C, H] and counts [L, C]; a code that no item carries has mean 0 and count 0.
    """
    centred = dense - dense.mean(dim=0)
    per_slot = [
        _mean_per_code(centred[:, slot], codes[:, slot], codebook_size)
        for slot in range(dense.size(1))
    ]
    means, counts = zip(*per_slot, strict=True)
    return torch.stack(means), torch.stack(counts)
