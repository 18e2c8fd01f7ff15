"""Stage 1 on the LLM: text-to-token and token-to-text, then PCA and k-means."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

import recbole_store.processes.ranks as ranks
from recbole_store.processes.hardly_learnt import say_if_hardly_learnt
from recbole_store.tokenizer.co_occurrence import collaborative_factors
from recbole_store.tokenizer.fit_quantizer import fit_quantizer
from recbole_store.tokenizer.item_tokenizer import ItemTokenizer
from recbole_store.tokenizer.losses import (
    TokenizerLosses,
    collaborative_positives,
    tokenizer_losses,
)
from recbole_store.tokenizer.quantizers.base import code_means
from recbole_store.tokenizer.stage_progress import (
    StageProgress,
    check_loss,
    check_vectors,
    check_weights,
)

log = logging.getLogger(__name__)


def train_slots(
    tokenizer: ItemTokenizer,
    settings: Mapping,
    new_optimizer: Callable[..., torch.optim.Optimizer],
    progress: StageProgress,
    together,
) -> dict:
    """Train the LLM and its slots, and fit the quantizer to the dense tokens.

    Args:
        settings, new_optimizer: see :class:`recbole_store.tokenizer.stage.TokenizerStage`.
        together: how often training histories put items together, CSR [N + 1, N + 1]; None: no
            positives come from there.

    Returns:
        see :meth:`recbole_store.tokenizer.stage.TokenizerStage.run`.
    """
    factors = None
    if together is not None:
        factors = ranks.from_first(
            lambda: collaborative_factors(together, settings["pca_dim"], settings["seed"])
        )
    status = progress.status
    torch.manual_seed(settings["seed"])
    backbone, before = tokenizer.backbone, tokenizer.backbone.stage
    backbone.use_stage("tokenizer")
    backbone.train()
    tokenizer.slots.requires_grad_(True)
    trained = dict(tokenizer.trainable())
    optimizer = new_optimizer(
        params=list(trained.values()), learning_rate=settings["tokenizer_learning_rate"]
    )
    weights = (settings["token_to_text_weight"], settings["contrastive_weight"])
    at = _Place(list(tokenizer.to_learn), random.Random(settings["seed"]))
    if begun := progress.take_up(trained, optimizer):
        at.go_to(begun)
    items, rng, batch_size = at.items, at.rng, settings["tokenizer_batch_size"]
    n_epochs = settings["tokenizer_epochs"] if any(weights) else 0
    steps = -(-len(items) // batch_size)
    done = {"training": at.epoch * steps + at.start // batch_size}
    status.begin("stage 1 of 2", {"training": n_epochs * steps}, done)
    while at.epoch < n_epochs:
        if at.start == 0:
            at.begin_epoch()
        while at.start < len(items):
            batch = items[at.start : at.start + batch_size]
            optimizer.zero_grad()
            with ranks.own_random():
                losses = tokenizer_losses(
                    tokenizer.slots,
                    backbone,
                    [tokenizer.fields[item] for item in batch],
                    tokenizer.token_texts.vocabulary,
                    _positives(factors, batch, settings, tokenizer.device),
                    *weights,
                    rng,
                )
                if losses.total.requires_grad:  # else others have all items of a last batch
                    losses.total.backward()
            ranks.sum_gradients(list(trained.values()))
            losses = _whole(losses)
            check_loss(losses.total, at.epoch, at.start // batch_size + 1)
            if settings["clip_grad_norm"]:
                clip_grad_norm_(trained.values(), **settings["clip_grad_norm"])
            optimizer.step()
            at.go_on(batch_size, losses)
            status.step("training", f"epoch {at.epoch + 1}/{n_epochs}")
            if ranks.from_first(lambda: progress.is_due) and at.start < len(items):
                progress.keep(at.state(), trained, optimizer)
        check_weights(trained, at.epoch, steps)
        total, at.reconstruction, contrastive = (s / steps for s in at.sums)
        log.info(
            "tokenizer epoch %d   loss %.4f   reconstruction %.4f   contrastive %.4f",
            at.epoch + 1,
            total,
            at.reconstruction,
            contrastive,
        )
        at.epoch, at.start = at.epoch + 1, 0
        progress.keep(at.state(), trained, optimizer)
    say_if_hardly_learnt("Stage 1", n_epochs * steps, settings["warmup_steps"])
    status.begin("stage 1 of 2 · texts to codes", {})
    optimizer.zero_grad()  # else stage 2 would clip by what stage 1 left behind
    kept = {name: weight.detach().clone() for name, weight in trained.items()}
    dense = tokenizer.quantizer_inputs(tokenizer.texts[1:]).cpu()
    check_vectors(dense, n_epochs - 1, steps)
    tokenizer.slots.requires_grad_(False)
    backbone.use_stage(before)
    found = fit_quantizer(tokenizer, dense, settings["seed"], progress)
    known = tokenizer.is_known()[1:].cpu()
    means, counts = code_means(dense[known], found["codes"][known], settings["codebook_size"])
    return {
        "weights": kept,
        **found,
        "code_means": means,
        "code_counts": counts,
        "reconstruction_loss": at.reconstruction,
    }


def _positives(
    factors: Tensor | None, items: list[int], settings: Mapping, device
) -> Tensor | None:
    if factors is None:
        return None
    return collaborative_positives(factors[items].to(device), settings["collaborative_share"])


def _whole(losses: TokenizerLosses) -> TokenizerLosses:
    """A batch's terms, of the processes' shares."""
    terms = torch.stack([term.detach().double().cpu() for term in losses])
    return TokenizerLosses(*ranks.sum_over_ranks(terms))


_PLACE = ("items", "epoch", "start", "sums", "reconstruction")


class _Place:
    """Where stage 1's training is.

    Attributes:
        items: item_ids in this epoch's order.
        rng: draws that order, and what views of texts leave out.
        epoch, start: the next step reads ``items`` from ``start`` on.
        sums: of the epoch's losses so far.
        reconstruction: mean of the last whole epoch.
    """

    def __init__(self, items: list[int], rng: random.Random):
        self.items, self.rng = items, rng
        self.epoch, self.start, self.sums = 0, 0, [0.0, 0.0, 0.0]
        self.reconstruction: float | None = None

    def begin_epoch(self) -> None:
        self.rng.shuffle(self.items)
        self.sums = [0.0, 0.0, 0.0]

    def go_on(self, n_items: int, losses: TokenizerLosses) -> None:
        self.start += n_items
        self.sums = [s + loss.item() for s, loss in zip(self.sums, losses, strict=True)]

    def state(self) -> dict:
        return {**{name: getattr(self, name) for name in _PLACE}, "rng": self.rng.getstate()}

    def go_to(self, state: dict) -> None:
        """Where a :meth:`state` was."""
        for name in _PLACE:
            setattr(self, name, state[name])
        self.rng.setstate(state["rng"])
