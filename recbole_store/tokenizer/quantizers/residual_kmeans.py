"""``rqkmeans``: residual k-means on one text embedding an item."""

from __future__ import annotations

import torch
from sklearn.decomposition import PCA
from torch import Tensor

from recbole_store.tokenizer.quantizers.base import (
    LARGE,
    Quantizer,
    cluster,
    explained_share,
    nearest,
    nearest_residuals,
)


class ResidualKMeans(Quantizer):
    """Each level clusters what the levels before it left over of the embeddings.

    It is the RQ-KMeans of GRID (arXiv 2507.22224), on principal components: in all dimensions of
    an embedding the residuals of a small catalogue lie far from each other and near 0, so that the
    later levels get one large cluster and many of one item.

    Args:
        pca_dim: principal components that k-means sees, at most min(N, H).

    Attributes:
        mean: [H].
        components: [P, H].
        codebooks: [L, C, P].
    """

    keys = ("pca_dim",)

    def __init__(self, n_slots, codebook_size, width, n_items, pca_dim: int):
        super().__init__(n_slots, codebook_size, width, n_items)
        n_components = min(pca_dim, width, n_items)
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("components", torch.zeros(n_components, width))
        self.register_buffer("codebooks", torch.zeros(n_slots, codebook_size, n_components))
        self.explained: float | None = None

    def fit(self, vectors: Tensor, seed: int) -> Tensor:
        self._check_size(vectors)
        self.mean.copy_(vectors.mean(0))
        centred = vectors - self.mean
        solver = "covariance_eigh" if len(vectors) > LARGE else "full"
        pca = PCA(self.components.size(0), svd_solver=solver)
        self.components.copy_(torch.from_numpy(pca.fit(centred.double().numpy()).components_))
        residual = self.points(vectors)
        for codebook in self.codebooks:
            centroids = cluster(residual.double().numpy(), self.codebook_size, seed)
            codebook.copy_(torch.from_numpy(centroids))
            residual = residual - codebook[nearest(residual, codebook)]
        kept = (self.points(vectors) - residual) @ self.components
        self.explained = explained_share(centred, kept)
        return self.assign(vectors)

    def assign(self, vectors: Tensor) -> Tensor:
        return nearest_residuals(self.points(vectors), self.codebooks)

    def report(self) -> dict:
        return {"explained_variance": self.explained}

    def points(self, vectors: Tensor) -> Tensor:
        return (vectors - self.mean) @ self.components.T

    @property
    def point_size(self) -> int:
        return self.components.size(0)
