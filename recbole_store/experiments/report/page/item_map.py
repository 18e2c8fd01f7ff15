"""Items' dense vectors -> points in the plane."""

from __future__ import annotations

import numpy as np

MOST_ITEMS = 5000  # beyond these t-SNE takes minutes, and points hide each other
FEWEST_ITEMS = 10


def chosen_items(n_items: int, most: int = MOST_ITEMS, seed: int = 0) -> np.ndarray:
    """Positions of the items that are shown, in order: all, or a random sample."""
    if n_items <= most:
        return np.arange(n_items)
    return np.sort(np.random.default_rng(seed).choice(n_items, size=most, replace=False))


def in_the_plane(vectors: np.ndarray, seed: int = 0) -> np.ndarray:
    """t-SNE (van der Maaten and Hinton, 2008) of vectors [N, D] -> [N, 2]."""
    from sklearn.manifold import TSNE  # seconds to import, and not every report has a map

    perplexity = min(30.0, (len(vectors) - 1) / 3)
    tsne = TSNE(perplexity=perplexity, init="pca", random_state=seed, n_jobs=1)
    return tsne.fit_transform(np.ascontiguousarray(vectors, dtype=np.float32))
