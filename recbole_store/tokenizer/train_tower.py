"""Stage 1 beside the LLM: its mean states, whitened; a tower on what follows what; then k-means."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

import recbole_store.processes.ranks as ranks
from recbole_store.llm.length_batches import similar_lengths
from recbole_store.processes.hardly_learnt import say_if_hardly_learnt
from recbole_store.tokenizer.fit_quantizer import fit_quantizer
from recbole_store.tokenizer.item_tokenizer import ItemTokenizer
from recbole_store.tokenizer.mean_states import mean_states
from recbole_store.tokenizer.quantizers.base import code_means
from recbole_store.tokenizer.sampled_softmax import ItemSampler, Lot, lot_of_all
from recbole_store.tokenizer.stage_progress import (
    StageProgress,
    check_loss,
    check_vectors,
    check_weights,
)
from recbole_store.tokenizer.text_tower import Windows, tower_loss

log = logging.getLogger(__name__)


def train_tower(
    tokenizer: ItemTokenizer,
    settings: Mapping,
    new_optimizer: Callable[..., torch.optim.Optimizer],
    progress: StageProgress,
    windows: Windows,
) -> dict:
    """Train the tower on what follows what, and fit the quantizer to its vectors.

    Args:
        settings, new_optimizer: see :class:`recbole_store.tokenizer.stage.TokenizerStage`.
        windows: of training histories.

    Returns:
        see :meth:`recbole_store.tokenizer.stage.TokenizerStage.run`.
    """
    known = tokenizer.is_known()
    reads = (tokenizer.llm_name, tokenizer.texts[1:], tokenizer.max_text_tokens, tokenizer.device)
    states = mean_states(*reads, progress.status).to(tokenizer.device)
    tokenizer.whitening.fit(states[known[1:]])
    features = F.pad(tokenizer.whitening(states), (0, 0, 1, 0))
    status = progress.status
    torch.manual_seed(settings["seed"])
    tower = tokenizer.tower.train().requires_grad_(True)
    optimizer = new_optimizer(
        params=list(tower.parameters()), learning_rate=settings["tokenizer_learning_rate"]
    )
    trained = dict(tower.named_parameters())
    sampler = None
    if len(features) - 1 > settings["full_softmax_limit"]:
        targets = windows.items[:, 1:][windows.wanted]
        counts = torch.bincount(targets, minlength=len(features))
        sampler = ItemSampler(counts).to(tokenizer.device)
    # The loss is None until training begins; batches are those that an epoch has still to read.
    at = {"epoch": 0, "total": None, "batches": []}
    at = progress.take_up(trained, optimizer) or at
    n_targets = windows.wanted.sum(1)
    chance = math.log(int(known.sum()))
    n_batches = -(-len(n_targets) // settings["tokenizer_batch_size"])
    n_epochs = settings["tokenizer_epochs"]
    done = {"training": n_batches * at["epoch"]}
    status.begin("stage 1 of 2", {"training": n_batches * n_epochs}, done)
    while at["epoch"] < n_epochs:
        if not at["batches"]:
            at["total"] = 0.0
            shuffled = torch.randperm(len(n_targets))
            at["batches"] = similar_lengths(
                n_targets[shuffled], settings["tokenizer_batch_size"], shuffled
            )
        while at["batches"]:
            rows, *at["batches"] = at["batches"]
            n_wanted = int(n_targets[rows].sum())
            if not n_wanted:
                continue
            own = windows.of_rows(ranks.mine(rows))
            items, wanted = (t.to(tokenizer.device) for t in own)
            lot = None
            if sampler is not None:
                lot = _lot_of_all(sampler, windows, rows, tokenizer.device)
            optimizer.zero_grad()
            share = torch.zeros(())  # of the batch's loss
            with ranks.own_random():
                if wanted.any():
                    loss = tower_loss(
                        *(tower, features, items, wanted, ~known, tokenizer.backbone.bf16),
                        sampler,
                        lot,
                    )
                    share = loss * (int(wanted.sum()) / n_wanted)
                    share.backward()
            ranks.sum_gradients(list(tower.parameters()))
            loss = ranks.sum_over_ranks(share.detach().cpu())
            check_loss(loss, at["epoch"], n_batches - len(at["batches"]))
            if settings["clip_grad_norm"]:
                clip_grad_norm_(tower.parameters(), **settings["clip_grad_norm"])
            optimizer.step()
            at["total"] += loss.item() * n_wanted
            status.step("training", f"epoch {at['epoch'] + 1}/{n_epochs}")
            if ranks.from_first(lambda: progress.is_due) and at["batches"]:
                progress.keep(at, trained, optimizer)
        check_weights(trained, at["epoch"], n_batches)
        at["total"] /= int(n_targets.sum())
        log.info(
            "tokenizer epoch %d   loss %.4f (chance %.4f)",
            at["epoch"] + 1,
            at["total"],
            chance,
        )
        at["epoch"] += 1
        progress.keep(at, trained, optimizer)
    say_if_hardly_learnt(
        "Stage 1", n_epochs * n_batches, settings["warmup_steps"], at["total"], chance
    )
    status.begin("stage 1 of 2 · texts to codes", {})
    optimizer.zero_grad()  # else stage 2 would clip by what stage 1 left behind
    tower.eval().requires_grad_(False)
    with torch.no_grad():
        vectors = tower.items(features[1:])
    check_vectors(vectors, n_epochs - 1, n_batches)
    found = fit_quantizer(tokenizer, vectors.cpu(), settings["seed"], progress)
    found["points"] = features[1:].cpu()
    # How a level's codes begin as inputs of the LLM: as the words of their items.
    states = states.cpu().unflatten(1, (tokenizer.whitening.n_blocks, -1))[:, 0]
    per_level = states[:, None].expand(-1, found["codes"].size(1), -1)
    rows = known[1:].cpu()
    means, counts = code_means(per_level[rows], found["codes"][rows], settings["codebook_size"])
    return {
        "weights": {name: w.detach().clone() for name, w in tokenizer.trainable()},
        "whitening": [buffer.clone() for buffer in tokenizer.whitening.buffers()],
        **found,
        "report": {**found["report"], "tower_loss": at["total"], "chance_loss": chance},
        "code_means": means,
        "code_counts": counts,
    }


def _lot_of_all(sampler: ItemSampler, windows: Windows, rows: Tensor, device) -> Lot | None:
    """What is drawn for a batch of windows, for this process's part of them."""

    def draw() -> Lot:
        return sampler.lot(*(part.to(device) for part in windows.of_rows(rows)))

    lot = lot_of_all(draw, device)
    return lot and lot.of_windows(ranks.mine(torch.arange(len(rows), device=device)))
