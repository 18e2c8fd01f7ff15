"""Vectors of items -> codes: what every item tokenizer has in common."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.cluster import KMeans, MiniBatchKMeans
from torch import Tensor, nn

# What a quantizer reads of an item.
DENSE_TOKENS = "dense tokens"  # [N, L, H], one a level, from the trained LLM
TEXT_EMBEDDING = "text embedding"  # [N, H], one an item, from a frozen text encoder
TOWER_VECTOR = "tower vector"  # [N, D], one an item, of the text tower on the LLM's mean states
NOTHING = "nothing"  # [N, 0]

# Items from which on PCA works on the covariance and k-means on mini-batches: the exact ways take
# half a minute for so many, and grow.
LARGE = 50_000


class Quantizer(nn.Module):
    """Gives items their codes, int64 [N, L], one in ``[0, C)`` for each of L levels.

    All that :meth:`assign` needs is in buffers, whose shapes are known before :meth:`fit`: RecBole
    builds a bare model and loads its weights into it.

    Attributes:
        reads: DENSE_TOKENS, TEXT_EMBEDDING, TOWER_VECTOR or NOTHING.
        keys: names of the settings that the constructor takes besides sizes; the result depends on
            them.
        progress: a :class:`recbole_store.tokenizer.stage_progress.StageProgress`, where a long
            :meth:`fit` keeps how far it is; None: nowhere.

    Args:
        n_slots: L, without the disambiguation level.
        codebook_size: C.
        width: H, of the vectors.
        n_items: N, of the catalogue that it will be fitted on.
    """

    reads = TEXT_EMBEDDING
    keys: tuple[str, ...] = ()
    progress = None

    def __init__(self, n_slots: int, codebook_size: int, width: int, n_items: int):
        super().__init__()
        self.n_slots, self.codebook_size, self.width = n_slots, codebook_size, width

    def fit(self, vectors: Tensor, seed: int) -> Tensor:
        """Find the codebooks for these items, and return the items' codes.

        Raises:
            ValueError: fewer items than codes.
        """
        raise NotImplementedError

    def assign(self, vectors: Tensor) -> Tensor:
        """Vectors of any items -> codes.

        Raises:
            NoCodesError: codes do not follow from what items are.
        """
        raise NotImplementedError

    def points(self, vectors: Tensor) -> Tensor:
        """What clusters are made of: coordinates of any items, [N, point_size]."""
        raise NotImplementedError

    def code_vectors(self, codes: Tensor) -> Tensor:
        """What codes [N, L] alone say of items, in the coordinates of :meth:`points`, [N, ...].

        Residual codes add up; other quantizers say so themselves.
        """
        return sum(book[code] for book, code in zip(self.codebooks, codes.T, strict=True))

    @property
    def point_size(self) -> int:
        """Width of :meth:`points`."""
        raise NotImplementedError

    def report(self) -> dict:
        """What there is to say about the last :meth:`fit`, beyond the codes' statistics."""
        return {}

    def _check_size(self, vectors: Tensor) -> None:
        if self.codebook_size > len(vectors):
            raise ValueError(
                f"codebook_size is {self.codebook_size}, but there are {len(vectors)} items."
            )


def nearest(points: Tensor, centroids: Tensor) -> Tensor:
    """Index of the nearest centroid [C, P] to each point [N, P]."""
    # |x - c|^2 without |x|^2, which is the same for every c.
    return (centroids.square().sum(-1) - 2 * points @ centroids.T).argmin(-1)


def nearest_residuals(points: Tensor, codebooks: Tensor) -> Tensor:
    """Residual quantization: points [N, P], codebooks [L, C, P] -> codes, int64 [N, L].

    Each level takes the centroid nearest to what the levels before it left over.
    """
    codes = []
    for codebook in codebooks:
        codes.append(nearest(points, codebook))
        points = points - codebook[codes[-1]]
    return torch.stack(codes, dim=1)


def explained_share(points: Tensor, approximations: Tensor) -> float:
    """Share of the variance of points [N, P] that their approximations keep; 1 is all of it."""
    error = (points - approximations).square().sum()
    return float(1 - error / (points - points.mean(0)).square().sum().clamp(min=1e-12))


def cluster(points: np.ndarray, n_clusters: int, seed: int) -> np.ndarray:
    """Centroids [C, P] of points [N, P] by k-means; of a large catalogue, by mini-batches."""
    kind, options = KMeans, {}
    if len(points) > LARGE:
        kind, options = MiniBatchKMeans, {"batch_size": 32 * n_clusters}
    kmeans = kind(n_clusters=n_clusters, n_init=4, random_state=seed, **options)
    return kmeans.fit(points).cluster_centers_


def mean_per_code(tokens: Tensor, codes: Tensor, codebook_size: int) -> tuple[Tensor, Tensor]:
    """Mean of the tokens [N, H] with each code, [C, H] (0 where none has it), and counts [C]."""
    counts = torch.bincount(codes, minlength=codebook_size)
    sums = tokens.new_zeros(codebook_size, tokens.size(1)).index_add_(0, codes, tokens)
    return sums / counts.clamp(min=1)[:, None], counts


def code_means(dense: Tensor, codes: Tensor, codebook_size: int) -> tuple[Tensor, Tensor]:
    """Mean dense token of the items that carry each code, the slot's overall mean taken off.

    Every dense token of a slot shares one large component, which would make all codes alike.

    Args:
        dense: [N, L, H].
        codes: int64 [N, L].

    Returns:
        means [L, C, H] and counts [L, C]; a code that no item carries has mean 0 and count 0.
    """
    centred = dense - dense.mean(dim=0)
    per_slot = [
        mean_per_code(centred[:, slot], codes[:, slot], codebook_size)
        for slot in range(dense.size(1))
    ]
    means, counts = zip(*per_slot, strict=True)
    return torch.stack(means), torch.stack(counts)
