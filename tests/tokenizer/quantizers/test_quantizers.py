"""What every item tokenizer must do, and what each does in its own way."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from torch.testing import assert_close

from recbole_store.errors import NoCodesError
from recbole_store.tokenizer.quantizers import base, rqvae
from recbole_store.tokenizer.quantizers.base import (
    DENSE_TOKENS,
    NOTHING,
    explained_share,
    nearest_residuals,
)
from recbole_store.tokenizer.quantizers.random_codes import RandomCodes
from recbole_store.tokenizer.quantizers.registry import QUANTIZERS, make_quantizer
from recbole_store.tokenizer.quantizers.residual_kmeans import ResidualKMeans

N_ITEMS, N_SLOTS, WIDTH, CODES = 200, 2, 12, 8
SETTINGS = {
    "n_slots": N_SLOTS,
    "codebook_size": CODES,
    "pca_dim": 6,
    "rqvae_hidden_sizes": [24, 16],
    "rqvae_latent_size": 4,
    "rqvae_beta": 0.25,
    "rqvae_epochs": 20,
    "rqvae_batch_size": 64,
    "rqvae_learning_rate": 0.003,
}


def vectors_for(name: str, n_items: int = N_ITEMS, seed: int = 4) -> torch.Tensor:
    """What the quantizer reads of so many items, far from 0."""
    reads = QUANTIZERS[name].reads
    shape = {DENSE_TOKENS: (N_SLOTS, WIDTH), NOTHING: (0,)}.get(reads, (WIDTH,))
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n_items, *shape, generator=generator) + 5


def make(name: str, **changes):
    vectors = vectors_for(name)
    settings = {**SETTINGS, "tokenizer": name, **changes}
    return make_quantizer(settings, vectors.size(-1), N_ITEMS), vectors


# --- all of them ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", QUANTIZERS)
class TestEveryQuantizer:
    def test_gives_codes_and_the_same_again(self, name):
        quantizer, vectors = make(name)
        codes = quantizer.fit(vectors, seed=3)
        assert codes.shape == (N_ITEMS, N_SLOTS) and codes.dtype == torch.long
        assert 0 <= codes.min() and codes.max() < CODES
        assert all(len(level.unique()) > CODES / 2 for level in codes.T)
        if quantizer.reads != NOTHING:
            assert torch.equal(quantizer.assign(vectors), codes)
            few = torch.tensor([7, 3])
            assert torch.equal(quantizer.assign(vectors[few]), codes[few])

    def test_its_state_fits_a_quantizer_that_was_never_fitted(self, name):
        fitted, vectors = make(name)
        fitted.fit(vectors, seed=3)
        bare, _ = make(name)
        bare.load_state_dict(fitted.state_dict())
        assert not list(bare.parameters()), "an optimizer of the model's would train them"
        if fitted.reads != NOTHING:
            new = vectors_for(name, seed=9)
            assert torch.equal(bare.assign(new), fitted.assign(new))

    def test_one_seed_gives_the_same_codes_and_leaves_torch_s_generator_alone(self, name):
        (first, vectors), (second, _), (other, _) = make(name), make(name), make(name)
        codes = first.fit(vectors, seed=3)
        torch.manual_seed(99)
        np.random.seed(99)
        before = torch.get_rng_state()
        assert torch.equal(second.fit(vectors, seed=3), codes)
        assert torch.equal(torch.get_rng_state(), before)
        assert not torch.equal(other.fit(vectors, seed=4), codes)

    def test_points_have_their_width(self, name):
        quantizer, vectors = make(name)
        quantizer.fit(vectors, seed=3)
        assert quantizer.points(vectors).shape == (N_ITEMS, quantizer.point_size)

    def test_its_report_is_plain(self, name):
        quantizer, vectors = make(name)
        quantizer.fit(vectors, seed=3)
        assert all(isinstance(value, (int, float)) for value in quantizer.report().values())


@pytest.mark.parametrize("name", [n for n, kind in QUANTIZERS.items() if kind.reads != NOTHING])
def test_more_codes_than_items_are_refused(name):
    quantizer, vectors = make(name)
    with pytest.raises(ValueError, match="codebook_size is 8, but there are 7 items"):
        quantizer.fit(vectors[:7], seed=0)


@pytest.mark.parametrize("name", ["rqkmeans", "rqvae"])
def test_codes_keep_what_tells_groups_apart(name):
    """Planted: 8 x 8 groups, by a large difference and a small one; codes keep both."""
    generator = torch.Generator().manual_seed(1)
    large = 40 * torch.eye(CODES)[torch.arange(512) % 8]
    small = 8 * torch.eye(CODES)[torch.arange(512) // 64]
    vectors = torch.cat([large, small], 1) + 0.1 * torch.randn(512, 16, generator=generator)
    settings = {**SETTINGS, "tokenizer": name, "pca_dim": 16, "rqvae_latent_size": 16}
    fitted = make_quantizer({**settings, "rqvae_epochs": 300}, 16, 512)
    codes = fitted.fit(vectors, seed=0)
    groups = torch.arange(512) % 8 * 8 + torch.arange(512) // 64
    together = {group.item(): codes[groups == group] for group in groups.unique()}
    assert sum(len(found.unique(dim=0)) == 1 for found in together.values()) >= 56
    assert fitted.report()["explained_variance"] > 0.9


# --- residual k-means -----------------------------------------------------------------------


def test_residual_k_means_is_sklearn_s_on_what_is_left():
    vectors = vectors_for("rqkmeans")
    fitted = ResidualKMeans(N_SLOTS, CODES, WIDTH, N_ITEMS, pca_dim=WIDTH)
    codes = fitted.fit(vectors, seed=1)
    left = ((vectors - vectors.mean(0)) @ fitted.components.T).double().numpy()
    for level in range(N_SLOTS):
        kmeans = KMeans(n_clusters=CODES, n_init=4, random_state=1).fit(left)
        assert (kmeans.labels_ == codes[:, level].numpy()).mean() > 0.99
        left = left - kmeans.cluster_centers_[kmeans.labels_]
    share = 1 - (left**2).sum() / ((vectors - vectors.mean(0)) ** 2).sum()
    assert fitted.report()["explained_variance"] == pytest.approx(float(share), abs=1e-3)


def test_nearest_residuals_by_hand():
    codebooks = torch.tensor([[[0.0], [10.0]], [[-1.0], [2.0]]])
    assert nearest_residuals(torch.tensor([[1.5], [9.2]]), codebooks).tolist() == [[0, 1], [1, 0]]


def test_explained_share_by_hand():
    points = torch.tensor([[0.0], [4.0]])
    assert explained_share(points, points) == 1.0
    assert explained_share(points, torch.tensor([[1.0], [4.0]])) == 1 - 1 / 8


def test_large_catalogues_are_clustered_by_mini_batches(monkeypatch):
    seen = []
    original = base.MiniBatchKMeans
    monkeypatch.setattr(base, "LARGE", 100)
    monkeypatch.setattr(
        base, "MiniBatchKMeans", lambda **options: seen.append(1) or original(**options)
    )
    fitted, vectors = make("rqkmeans")
    fitted.fit(vectors, seed=0)
    assert len(seen) == N_SLOTS


# --- RQ-VAE ---------------------------------------------------------------------------------


def network(n_codes: int = CODES, beta: float = 0.25) -> rqvae._Network:
    torch.manual_seed(2)
    return rqvae._Network([WIDTH, 16, 4], N_SLOTS, n_codes, beta)


def test_rqvae_s_loss_by_its_formula():
    points, net = vectors_for("rqvae") - 5, network()
    net._start_codebooks(points, seed=0)
    loss, codes, residuals = net(points[:9])
    latent = net.encoder(points[:9])
    chosen = [net.codebooks[level, codes[:, level]] for level in range(N_SLOTS)]
    left = [latent, latent - chosen[0]]
    assert_close(residuals[1], left[1].detach())
    assert torch.equal(codes, nearest_residuals(latent, net.codebooks))
    rebuilt = net.decoder(chosen[0] + chosen[1])
    expected = (rebuilt - points[:9]).square().sum(1).mean()
    for level in range(N_SLOTS):
        expected = expected + 1.25 * (left[level] - chosen[level]).square().sum(1).mean()
    assert_close(loss, expected, rtol=1e-4, atol=1e-5)


def test_gradients_pass_the_quantization_straight_through():
    """Without the terms of quantization, the encoder gets what the decoder's input gets."""
    points, net = vectors_for("rqvae")[:9] - 5, network(beta=0.0)
    net._start_codebooks(vectors_for("rqvae") - 5, seed=0)
    net(points)[0].backward()
    found = net.encoder[0].weight.grad.clone()
    net.zero_grad()
    latent = net.encoder(points)
    codes = nearest_residuals(latent, net.codebooks)
    summed = net.vectors_of(codes).detach().requires_grad_()
    (net.decoder(summed) - points).square().sum(1).mean().backward()
    latent.backward(summed.grad)
    assert_close(found, net.encoder[0].weight.grad, rtol=1e-4, atol=1e-6)


def test_codebooks_start_from_k_means_of_the_residuals():
    points, net = vectors_for("rqvae") - 5, network()
    net._start_codebooks(points, seed=0)
    with torch.no_grad():
        left = net.encoder(points)
        for book in net.codebooks:
            codes = base.nearest(left, book)
            assert len(codes.unique()) == CODES, "no code starts dead"
            for code in range(CODES):
                assert_close(book[code], left[codes == code].mean(0), rtol=1e-3, atol=1e-4)
            left = left - book[codes]


def test_dead_codes_come_back_to_life():
    points, net = vectors_for("rqvae") - 5, network()
    net._start_codebooks(points, seed=0)
    with torch.no_grad():
        net.codebooks[0, 3:] += 1000.0  # five codes that no row will ever take
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(net, "_start_codebooks", lambda *_: None)
        net.train_on(points, epochs=15, batch_size=100, learning_rate=1e-3, seed=0)
    assert net.revived >= 5
    codes = nearest_residuals(net.encoder(points), net.codebooks)
    assert len(codes[:, 0].unique()) == CODES


def test_training_lowers_the_error():
    (short, vectors), (long, _) = make("rqvae", rqvae_epochs=1), make("rqvae", rqvae_epochs=60)
    short.fit(vectors, seed=0), long.fit(vectors, seed=0)
    assert long.report()["explained_variance"] > short.report()["explained_variance"] + 0.1


# --- random ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_items", "most"), [(60, 1), (64, 1), (65, 2), (150, 3)])
def test_random_codes_are_distinct_as_long_as_there_are_enough(n_items, most):
    codes = RandomCodes(2, 8, 0, n_items).fit(torch.empty(n_items, 0), seed=1)
    _, counts = codes.unique(dim=0, return_counts=True)
    assert counts.max() == most and len(counts) == min(n_items, 64)


def test_random_codes_of_more_tuples_than_memory_holds():
    codes = RandomCodes(6, 256, 0, 5).fit(torch.empty(5, 0), seed=1)  # 2.8e14 tuples
    assert codes.shape == (5, 6) and codes.max() > 0 and len(codes.unique(dim=0)) == 5


def test_a_new_item_has_no_random_codes():
    with pytest.raises(NoCodesError, match="a new item has none") as error:
        RandomCodes(2, 8, 0, 60).assign(torch.empty(1, 0))
    assert "\n" not in str(error.value)
