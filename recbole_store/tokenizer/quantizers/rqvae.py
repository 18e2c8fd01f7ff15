"""``rqvae``: an autoencoder of text embeddings whose latent is quantized level by level."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_store.processes.status import SILENT
from recbole_store.tokenizer.quantizers.base import (
    Quantizer,
    cluster,
    explained_share,
    nearest,
    nearest_residuals,
)
from recbole_store.tokenizer.stage_progress import check_loss, check_weights

RATE = "rqvae_learning_rate"

# A code is dead when none of this many times C rows had it: it is set on a row of the batch.
REVIVE_AFTER = 8


class RQVAE(Quantizer):
    """RQ-VAE (TIGER, arXiv 2305.05065, section 3.1).

    An encoder with ReLU takes an embedding to a latent, each level quantizes what the levels before
    it left over, a mirrored decoder rebuilds the embedding from the sum. The gradient passes the
    quantization straight through. Against collapse, each level starts from k-means on its first
    residuals, and a code that no row takes any more is set on a row's residual.

    Args:
        rqvae_hidden_sizes: widths of the encoder's layers.
        rqvae_latent_size: width of the latent and the codebooks.
        rqvae_beta: weight of the encoder's commitment to its codes.
        rqvae_epochs, rqvae_batch_size, rqvae_learning_rate: of AdamW.

    Attributes:
        mean: [H], and scale: [], that bring the embeddings to unit variance.
        codebooks: [L, C, rqvae_latent_size].
    """

    keys = (
        "rqvae_hidden_sizes",
        "rqvae_latent_size",
        "rqvae_beta",
        "rqvae_epochs",
        "rqvae_batch_size",
        "rqvae_learning_rate",
    )

    def __init__(
        self,
        n_slots,
        codebook_size,
        width,
        n_items,
        rqvae_hidden_sizes: list[int],
        rqvae_latent_size: int,
        rqvae_beta: float,
        rqvae_epochs: int,
        rqvae_batch_size: int,
        rqvae_learning_rate: float,
    ):
        super().__init__(n_slots, codebook_size, width, n_items)
        self.beta, self.epochs = rqvae_beta, rqvae_epochs
        self.batch_size, self.learning_rate = rqvae_batch_size, rqvae_learning_rate
        self.sizes = [width, *rqvae_hidden_sizes, rqvae_latent_size]
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(()))
        shape = (n_slots, codebook_size, rqvae_latent_size)
        self.register_buffer("codebooks", torch.zeros(shape))
        # Of the two networks the encoder alone is kept; no optimizer but fit's own may touch it.
        for layer, (n_in, n_out) in enumerate(zip(self.sizes, self.sizes[1:], strict=False)):
            self.register_buffer(f"weight_{layer}", torch.zeros(n_out, n_in))
            self.register_buffer(f"bias_{layer}", torch.zeros(n_out))
        self.found: dict = {}

    def points(self, vectors: Tensor) -> Tensor:
        """The latents, [N, rqvae_latent_size]."""
        hidden = (vectors - self.mean) * self.scale
        last = len(self.sizes) - 2
        for layer in range(last + 1):
            weight, bias = getattr(self, f"weight_{layer}"), getattr(self, f"bias_{layer}")
            hidden = F.linear(hidden, weight, bias)
            hidden = F.relu(hidden) if layer < last else hidden
        return hidden

    @property
    def point_size(self) -> int:
        return self.sizes[-1]

    @torch.no_grad()
    def assign(self, vectors: Tensor) -> Tensor:
        return nearest_residuals(self.points(vectors), self.codebooks)

    def fit(self, vectors: Tensor, seed: int) -> Tensor:
        self._check_size(vectors)
        self.mean.copy_(vectors.mean(0))
        self.scale.copy_(1 / (vectors - self.mean).square().mean().sqrt().clamp(min=1e-12))
        points = (vectors - self.mean) * self.scale
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = _Network(self.sizes, self.n_slots, self.codebook_size, self.beta)
            network = network.to(vectors.device)
            with torch.enable_grad():
                rates = (self.epochs, self.batch_size, self.learning_rate)
                network.train_on(points, *rates, seed, self.progress)
        linears = [layer for layer in network.encoder if isinstance(layer, nn.Linear)]
        for layer, linear in enumerate(linears):
            getattr(self, f"weight_{layer}").copy_(linear.weight.detach())
            getattr(self, f"bias_{layer}").copy_(linear.bias.detach())
        self.codebooks.copy_(network.codebooks.detach())
        codes = self.assign(vectors)
        with torch.no_grad():
            rebuilt = network.decoder(network.vectors_of(codes))
        self.found = {
            "explained_variance": explained_share(points, rebuilt),
            "revived_codes": network.revived,
        }
        return codes

    def report(self) -> dict:
        return dict(self.found)


class _Network(nn.Module):
    """What trains: encoder, codebooks, decoder."""

    def __init__(self, sizes: list[int], n_slots: int, codebook_size: int, beta: float):
        super().__init__()
        self.encoder, self.decoder = _layers(sizes), _layers(sizes[::-1])
        self.codebooks = nn.Parameter(torch.zeros(n_slots, codebook_size, sizes[-1]))
        self.beta = beta
        self.revived = 0

    def vectors_of(self, codes: Tensor) -> Tensor:
        """Codes [N, L] -> the sum of their centroids [N, P]."""
        return sum(book[code] for book, code in zip(self.codebooks, codes.T, strict=True))

    def train_on(
        self,
        points: Tensor,
        epochs: int,
        batch_size: int,
        learning_rate: float,
        seed: int,
        progress=None,
    ) -> None:
        optimizer = torch.optim.AdamW(self.parameters(), lr=learning_rate)
        # Rows since each code was last taken, [L, C].
        unused_for = torch.zeros(self.codebooks.shape[:2], device=points.device)
        trained, at = dict(self.named_parameters()), None
        if progress:
            at = progress.take_up(trained, optimizer)
        if at is None:
            self._start_codebooks(points, seed)
        else:
            unused_for, self.revived = at["unused_for"].to(points.device), at["revived"]
        first = at["epoch"] if at else 0
        status = progress.status if progress else SILENT
        status.begin("stage 1 of 2 · codes", {"training": epochs}, {"training": first})
        n_steps = (epochs - first) * math.ceil(len(points) / batch_size)
        for epoch in range(first, epochs):
            if progress and progress.is_due:
                place = {"epoch": epoch, "unused_for": unused_for, "revived": self.revived}
                progress.keep(place, trained, optimizer)
            shuffled = torch.randperm(len(points)).to(points.device)
            for step, rows in enumerate(shuffled.split(batch_size), start=1):
                loss, codes, residuals = self(points[rows])
                check_loss(loss, epoch, step, RATE)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                n_steps -= 1
                unused_for += len(rows)
                unused_for.scatter_(1, codes.T, 0.0)
                if n_steps:  # a code set on a row after the last step would help nobody
                    self._revive(unused_for, residuals, optimizer)
            status.step("training", f"epoch {epoch + 1}/{epochs}")
        check_weights(trained, epochs - 1, math.ceil(len(points) / batch_size), RATE)

    def forward(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Loss, codes [B, L], and what each level was given to quantize, [L, B, P]."""
        latent = self.encoder(points)
        left, codes, residuals, quantization = latent, [], [], 0.0
        for codebook in self.codebooks:
            with torch.no_grad():
                code = nearest(left, codebook)
            chosen = codebook[code]
            quantization = quantization + (
                (chosen - left.detach()).square().sum(1).mean()
                + self.beta * (left - chosen.detach()).square().sum(1).mean()
            )
            codes.append(code)
            residuals.append(left.detach())
            left = left - chosen.detach()
        passed_through = latent - left.detach()  # the sum of the centroids, the latent's gradient
        reconstruction = (self.decoder(passed_through) - points).square().sum(1).mean()
        return reconstruction + quantization, torch.stack(codes, 1), torch.stack(residuals)

    @torch.no_grad()
    def _start_codebooks(self, points: Tensor, seed: int) -> None:
        left = self.encoder(points)
        for codebook in self.codebooks:
            centroids = cluster(left.double().cpu().numpy(), len(codebook), seed)
            codebook.copy_(torch.from_numpy(centroids))
            left = left - codebook[nearest(left, codebook)]

    @torch.no_grad()
    def _revive(self, unused_for: Tensor, residuals: Tensor, optimizer) -> None:
        n_codes, n_rows = self.codebooks.size(1), residuals.size(1)
        dead = unused_for >= REVIVE_AFTER * n_codes
        if not bool(dead.any()):
            return
        state = optimizer.state[self.codebooks]
        for level, code in dead.nonzero().tolist():
            row = int(torch.randint(n_rows, ()))
            self.codebooks[level, code] = residuals[level, row]
            for moment in ("exp_avg", "exp_avg_sq"):  # else it would be drawn back
                state[moment][level, code] = 0.0
        unused_for[dead] = 0.0
        self.revived += int(dead.sum())


def _layers(sizes: list[int]) -> nn.Sequential:
    """Linear layers with ReLU between them."""
    layers: list[nn.Module] = []
    for n_in, n_out in zip(sizes, sizes[1:], strict=False):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
