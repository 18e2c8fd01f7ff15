"""``opq``: optimised product quantization, codes that say different things side by side."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor

from recbole_store.tokenizer.quantizers.base import Quantizer, cluster, explained_share, nearest

ROUNDS = 10  # of assigning codes and turning the space; more hardly change the error


class ProductCodes(Quantizer):
    """OPQ (Ge et al., "Optimized Product Quantization", CVPR 2013).

    The embeddings are turned and cut into L parts, each with a codebook of its own. The start is
    the paper's parametric solution (principal components, dealt out so that parts carry similar
    variance); then codes and rotation are fitted in turn.

    Attributes:
        mean: [H].
        rotation: [H, L * P]; P is the width of a part.
        codebooks: [L, C, P].
    """

    def __init__(self, n_levels, codebook_size, width, n_items):
        super().__init__(n_levels, codebook_size, width, n_items)
        part = width // n_levels
        if part == 0:
            raise ValueError(f"An embedding of width {width} has no {n_levels} parts.")
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("rotation", torch.zeros(width, n_levels * part))
        self.register_buffer("codebooks", torch.zeros(n_levels, codebook_size, part))
        self.explained: float | None = None

    def fit(self, vectors: Tensor, seed: int) -> Tensor:
        self._check_size(vectors)
        self.mean.copy_(vectors.mean(0))
        points = (vectors - self.mean).double().cpu().numpy()
        rotation = balanced_components(points, self.n_levels, self.codebooks.size(2))
        books = [cluster(part, self.codebook_size, seed) for part in self._parts(points @ rotation)]
        for _ in range(ROUNDS):
            turned = points @ rotation
            found = []
            for level, part in enumerate(self._parts(turned)):
                kmeans = KMeans(self.codebook_size, init=books[level], n_init=1, max_iter=1)
                codes = kmeans.fit(part).labels_
                books[level] = kmeans.cluster_centers_
                found.append(books[level][codes])
            # The rotation that brings the embeddings nearest to their codes (Procrustes).
            left, _, right = np.linalg.svd(points.T @ np.hstack(found), full_matrices=False)
            rotation = left @ right
        self.rotation.copy_(torch.from_numpy(rotation))
        self.codebooks.copy_(torch.from_numpy(np.stack(books)))
        codes = self.assign(vectors)
        chosen = [book[code] for book, code in zip(self.codebooks, codes.T, strict=True)]
        back = torch.cat(chosen, 1) @ self.rotation.T
        self.explained = explained_share(vectors - self.mean, back)
        return codes

    def assign(self, vectors: Tensor) -> Tensor:
        parts = self.points(vectors).chunk(self.n_levels, dim=1)
        return torch.stack(
            [nearest(part, book) for part, book in zip(parts, self.codebooks, strict=True)], dim=1
        )

    def points(self, vectors: Tensor) -> Tensor:
        return (vectors - self.mean) @ self.rotation

    def code_vectors(self, codes: Tensor) -> Tensor:
        """The parts' centroids behind each other."""
        books = zip(self.codebooks, codes.T, strict=True)
        return torch.cat([book[code] for book, code in books], dim=1)

    @property
    def n_points(self) -> int:
        return self.rotation.size(1)

    def report(self) -> dict:
        return {"explained_variance": self.explained}

    def _parts(self, turned: np.ndarray) -> list[np.ndarray]:
        return np.split(turned, self.n_levels, axis=1)


def balanced_components(points: np.ndarray, n_parts: int, part: int) -> np.ndarray:
    """Principal components [H, n_parts * part], so dealt out that parts carry similar variance.

    From the strongest on, each goes to the part with room whose product of variances is least.
    """
    variances, axes = np.linalg.eigh(np.cov(points, rowvar=False))
    strongest = np.argsort(-variances)[: n_parts * part]
    # Above 0, so that a part that has got more counts for more.
    logs = np.log(np.maximum(variances, variances.max() * 1e-12))
    logs = logs - logs[strongest].min()
    dealt: list[list[int]] = [[] for _ in range(n_parts)]
    for axis in strongest:
        with_room = [axes_of for axes_of in dealt if len(axes_of) < part]
        min(with_room, key=lambda axes_of: logs[axes_of].sum()).append(int(axis))
    return axes[:, [axis for part_axes in dealt for axis in part_axes]]
