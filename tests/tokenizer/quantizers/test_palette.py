"""Dense tokens -> codes: PCA and k-means of each slot."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import pairwise_distances_argmin
from torch.testing import assert_close

from recbole_store.tokenizer.quantizers.base import code_means
from recbole_store.tokenizer.quantizers.palette import Palette

N_ITEMS, N_SLOTS, WIDTH = 60, 2, 12


@pytest.fixture
def dense() -> torch.Tensor:
    """[N, L, H], each slot with a mean far from 0."""
    generator = torch.Generator().manual_seed(4)
    return torch.randn(N_ITEMS, N_SLOTS, WIDTH, generator=generator) + 5


def fit_palette(dense: torch.Tensor, codebook_size: int, pca_dim: int, seed: int) -> Palette:
    n_items, n_slots, width = dense.shape
    palette = Palette(n_slots, codebook_size, width, n_items, pca_dim)
    palette.fit(dense, seed)
    return palette


def without_earlier_codes(tokens: np.ndarray, earlier: list[list[int]]) -> np.ndarray:
    """Tokens [N, H] less their mean, then less the mean of each earlier slot's code, in turn."""
    tokens = tokens - tokens.mean(0)
    for labels in map(np.array, earlier):
        means = {label: tokens[labels == label].mean(0) for label in set(labels.tolist())}
        tokens = tokens - np.stack([means[label] for label in labels.tolist()])
    return tokens


def test_palette_is_sklearn_s_pca_and_k_means_per_slot(dense):
    codes = fit_palette(dense, codebook_size=8, pca_dim=5, seed=1).assign(dense)
    assert codes.shape == (N_ITEMS, N_SLOTS)
    earlier = []
    for slot in range(N_SLOTS):
        tokens = without_earlier_codes(dense[:, slot].double().numpy(), earlier)
        projected = PCA(n_components=5).fit_transform(tokens)
        labels = KMeans(n_clusters=8, n_init=4, random_state=1).fit(projected).labels_.tolist()
        assert codes[:, slot].tolist() == labels
        earlier.append(labels)


def test_items_never_seen_go_to_their_nearest_centroid(dense):
    palette = fit_palette(dense, codebook_size=8, pca_dim=5, seed=1)
    new = torch.randn(200, N_SLOTS, WIDTH, generator=torch.Generator().manual_seed(9)) + 5
    codes = palette.assign(new)
    for slot in range(N_SLOTS):
        tokens = (new[:, slot] - palette.mean[slot]).double().numpy()
        for j in range(slot):
            tokens -= palette.shifts[slot, j].double().numpy()[codes[:, j]]
        projected = tokens @ palette.components[slot].double().numpy().T
        nearest = pairwise_distances_argmin(projected, palette.codebooks[slot].double().numpy())
        assert codes[:, slot].tolist() == nearest.tolist()
        assert len(set(nearest)) > 4


def same_grouping(first: torch.Tensor, second: torch.Tensor) -> bool:
    pairs = set(zip(first.tolist(), second.tolist(), strict=True))
    return len(pairs) == len(first.unique()) == len(second.unique())


def test_each_slot_is_clustered_by_what_it_adds():
    """The last slot says loudly what the first says already, and softly something of its own."""
    generator = torch.Generator().manual_seed(0)
    loud = 50 * torch.randn(2, 5, WIDTH, generator=generator)
    soft = 10 * torch.randn(5, WIDTH, generator=generator)
    shared, own = torch.arange(50) % 5, torch.arange(50) // 10
    dense = torch.stack([loud[0][shared], loud[1][shared] + soft[own]], dim=1)
    dense += torch.randn(dense.shape, generator=generator)
    codes = fit_palette(dense, codebook_size=5, pca_dim=4, seed=0).assign(dense)
    assert same_grouping(codes[:, 0], shared)
    assert same_grouping(codes[:, 1], own)


def test_one_seed_gives_one_palette(dense):
    first = fit_palette(dense, codebook_size=8, pca_dim=5, seed=7)
    torch.manual_seed(99)
    np.random.seed(99)
    again = fit_palette(dense, codebook_size=8, pca_dim=5, seed=7)
    other = fit_palette(dense, codebook_size=8, pca_dim=5, seed=8)
    state = again.state_dict()
    assert all(torch.equal(part, state[name]) for name, part in first.named_buffers())
    assert not torch.equal(first.codebooks, other.codebooks)


@pytest.mark.parametrize(("pca_dim", "kept"), [(3, 3), (500, WIDTH)])
def test_components_are_capped_by_the_data(dense, pca_dim, kept):
    palette = fit_palette(dense, codebook_size=4, pca_dim=pca_dim, seed=0)
    assert palette.components.shape == (N_SLOTS, kept, WIDTH)
    assert palette.codebooks.shape == (N_SLOTS, 4, kept)


def test_more_codes_than_items_are_refused(dense):
    with pytest.raises(ValueError, match="codebook_size is 61, but there are 60 items"):
        fit_palette(dense, codebook_size=61, pca_dim=5, seed=0)


@pytest.mark.filterwarnings("ignore")  # nothing is left for the second slot to tell apart
def test_as_many_codes_as_items_give_each_item_its_own(dense):
    palette = fit_palette(dense[:10], codebook_size=10, pca_dim=5, seed=0)
    assert len(palette.assign(dense[:10])[:, 0].unique()) == 10
    assert all(part.isfinite().all() for part in palette.buffers())


def test_code_means_by_hand():
    dense = torch.tensor([[[1.0, 0.0]], [[3.0, 2.0]], [[5.0, 1.0]], [[7.0, 5.0]]])
    means, counts = code_means(dense, torch.tensor([[2], [0], [2], [2]]), codebook_size=4)
    # The overall mean is (4, 2).
    assert_close(means[0], torch.tensor([[-1.0, 0.0], [0.0, 0.0], [1 / 3, 0.0], [0.0, 0.0]]))
    assert counts.tolist() == [[1, 0, 3, 0]]


def test_code_means_of_slots_are_apart(dense):
    codes = torch.randint(6, (N_ITEMS, N_SLOTS), generator=torch.Generator().manual_seed(2))
    means, counts = code_means(dense, codes, codebook_size=6)
    for slot in range(N_SLOTS):
        for code in range(6):
            carriers = dense[codes[:, slot] == code, slot]
            assert counts[slot, code] == len(carriers)
            expected = carriers.mean(0) - dense[:, slot].mean(0)
            assert_close(means[slot, code], expected, rtol=1e-5, atol=1e-5)
