"""``palette``: STORE's own tokenizer, a codebook for each slot of the dense tokens."""

from __future__ import annotations

import torch
from sklearn.decomposition import PCA
from torch import Tensor

from recbole_store.tokenizer.quantizers.base import (
    DENSE_TOKENS,
    LARGE,
    Quantizer,
    cluster,
    mean_per_code,
    nearest,
)


class Palette(Quantizer):
    """PCA and k-means on each slot (LAMIA, arXiv 2409.07276v3).

    Slots of one text say much the same. So a slot is clustered by what it adds: the mean of its
    tokens among the items that carry an earlier slot's code is taken off first, slot by slot.

    Args:
        pca_dim: principal components that k-means sees, at most min(N, H).

    Attributes:
        mean: [L, H].
        shifts: [L, L, C, H]; [l, j, c] is what code c of slot j < l says of slot l's tokens.
        components: [L, P, H].
        codebooks: [L, C, P].
    """

    reads = DENSE_TOKENS
    keys = ("pca_dim",)

    def __init__(self, n_slots, codebook_size, width, n_items, pca_dim: int):
        super().__init__(n_slots, codebook_size, width, n_items)
        n_components = min(pca_dim, width, n_items)
        self.register_buffer("mean", torch.zeros(n_slots, width))
        self.register_buffer("shifts", torch.zeros(n_slots, n_slots, codebook_size, width))
        self.register_buffer("components", torch.zeros(n_slots, n_components, width))
        self.register_buffer("codebooks", torch.zeros(n_slots, codebook_size, n_components))

    def fit(self, vectors: Tensor, seed: int) -> Tensor:
        self._check_size(vectors)
        codes: list[Tensor] = []
        for slot in range(self.n_slots):
            self.mean[slot] = vectors[:, slot].mean(dim=0)
            tokens = vectors[:, slot] - self.mean[slot]
            for earlier, code in enumerate(codes):
                shift, _ = mean_per_code(tokens, code, self.codebook_size)
                self.shifts[slot, earlier] = shift
                tokens = tokens - shift[code]
            points = tokens.double().cpu().numpy()
            # No centring of PCA's own: the mean is off already.
            solver = "covariance_eigh" if len(vectors) > LARGE else "full"
            n_components = self.components.size(1)
            axes = PCA(n_components, svd_solver=solver).fit(points).components_
            self.components[slot] = torch.from_numpy(axes)
            centroids = cluster(points @ axes.T, self.codebook_size, seed)
            self.codebooks[slot] = torch.from_numpy(centroids)
            codes.append(nearest(tokens @ self.components[slot].T, self.codebooks[slot]))
        return self.assign(vectors)

    def assign(self, vectors: Tensor) -> Tensor:
        return self._read(vectors)[0]

    def points(self, vectors: Tensor) -> Tensor:
        """All slots' principal components behind each other, [N, L * P]."""
        return self._read(vectors)[1]

    def code_vectors(self, codes: Tensor) -> Tensor:
        """The slots' centroids behind each other, [N, L * P]."""
        books = zip(self.codebooks, codes.T, strict=True)
        return torch.cat([book[code] for book, code in books], dim=1)

    def dense_tokens(self, codes: Tensor) -> Tensor:
        """Codes [N, l] of the first l slots -> the dense tokens at their centroids, [N, l, H]."""
        found = []
        for slot in range(codes.size(1)):
            tokens = self.codebooks[slot, codes[:, slot]] @ self.components[slot]
            for earlier in range(slot):
                tokens = tokens + self.shifts[slot, earlier, codes[:, earlier]]
            found.append(tokens + self.mean[slot])
        return torch.stack(found, dim=1)

    @property
    def point_size(self) -> int:
        return self.n_slots * self.components.size(1)

    def _read(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """The nearest codes [N, L], and the points [N, L * P] that they are nearest to."""
        codes: list[Tensor] = []
        points: list[Tensor] = []
        for slot in range(self.n_slots):
            tokens = vectors[:, slot] - self.mean[slot]
            for earlier, code in enumerate(codes):
                tokens = tokens - self.shifts[slot, earlier, code]
            points.append(tokens @ self.components[slot].T)
            codes.append(nearest(points[-1], self.codebooks[slot]))
        return torch.stack(codes, dim=1), torch.cat(points, dim=1)
