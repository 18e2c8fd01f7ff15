"""The first stage as a whole: texts -> tokenizer -> codes, cached."""

from __future__ import annotations

import copy
import logging
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from tqdm import tqdm

from recbole_store.errors import DisambiguationOverflow, Diverged
from recbole_store.llm.length_batches import similar_lengths
from recbole_store.llm.model_files import cache_folder
from recbole_store.llm.text_encoder import TextEncoder
from recbole_store.tokenizer.cache import fingerprint, one_at_a_time, read_cached
from recbole_store.tokenizer.co_occurrence import collaborative_factors
from recbole_store.tokenizer.item_tokenizer import ItemTokenizer
from recbole_store.tokenizer.losses import (
    TokenizerLosses,
    collaborative_positives,
    tokenizer_losses,
)
from recbole_store.tokenizer.quantizers.base import (
    DENSE_TOKENS,
    NOTHING,
    TEXT_EMBEDDING,
    TOWER_VECTOR,
    code_means,
)
from recbole_store.tokenizer.sampled_softmax import ItemSampler
from recbole_store.tokenizer.semantic_ids import disambiguate
from recbole_store.tokenizer.stage_progress import StageProgress, check_loss, check_weights
from recbole_store.tokenizer.tensor_file import SUFFIX, write
from recbole_store.tokenizer.text_tower import Windows, tower_loss

log = logging.getLogger(__name__)


class TokenizerStage:
    """Fits an item tokenizer, or takes what was found from the cache.

    Args:
        tokenizer: to be fitted.
        settings: of :func:`recbole_store.tokenizer.cache.stage_keys` and no others, so that
            whatever the stage reads is in the cache's key.
        new_optimizer: called with ``params`` and ``learning_rate``; its schedule is its ``rates``.
        progress: a :class:`recbole_store.plugin.progress.Progress`, where a stage that is cut off
            is found again; None: it begins anew.
    """

    def __init__(
        self,
        tokenizer: ItemTokenizer,
        settings: Mapping,
        new_optimizer: Callable[..., torch.optim.Optimizer],
        progress=None,
    ):
        self.tokenizer, self.settings, self.new_optimizer = tokenizer, settings, new_optimizer
        self._progress, self.progress = progress, StageProgress()
        self.encoder: TextEncoder | None = None
        if tokenizer.reads == TEXT_EMBEDDING:
            self.encoder = TextEncoder(tokenizer.encoder_name, tokenizer.device)

    @property
    def reads_windows(self) -> bool:
        """Whether training histories are learnt, target by target."""
        return self.tokenizer.reads == TOWER_VECTOR

    @property
    def reads_company(self) -> bool:
        """Whether it is asked which items training histories put together."""
        if self.tokenizer.reads != DENSE_TOKENS:
            return False
        return self.settings["collaborative_share"] > 0 and self.settings["contrastive_weight"] > 0

    def run(
        self,
        name: str,
        together,
        windows: Windows | None,
        item_counts: Counter,
        show_progress: bool = False,
    ) -> dict:
        """Give every item its semantic ID.

        Args:
            name: of the data set, for the cache's file.
            together: how often training histories put items together, CSR [N + 1, N + 1]; None if
                ``reads_company`` is false.
            windows: of training histories; None if ``reads_windows`` is false.
            item_counts: training interactions of each item_id; popular items come first where
                several share their codes.

        Returns:
            What the stage found: ``codes``, ``points``, the quantizer's buffers under its name,
            ``report``, ``seconds``, ``cached``; with dense tokens also ``weights``,
            ``code_means``, ``code_counts`` and ``reconstruction_loss``.

        Raises:
            DisambiguationOverflow: too many items share their codes.
        """
        tokenizer = self.tokenizer
        if tokenizer.reads != NOTHING:
            self._check_texts()
        stage = self._train_or_load(name, together, windows, show_progress)
        self._take_weights(stage)
        for buffer, values in zip(
            tokenizer.quantizer.buffers(), stage[tokenizer.name], strict=True
        ):
            buffer.copy_(values)
        tokenizer.set_points(stage["points"])
        tokenizer.set_semantic_ids(self._semantic_ids(stage["codes"], item_counts))
        return stage

    def report(self, stage: dict) -> dict:
        """What result.json says of the stage."""
        report = {
            "tokenizer": self.tokenizer.name,
            **self.tokenizer.statistics(),
            **stage["report"],
            "items_without_text": self.tokenizer.texts[1:].count(""),
            "reconstruction_loss": stage.get("reconstruction_loss"),
            "tokenizer_s": stage["seconds"],
            "tokenizer_cached": stage["cached"],
        }
        _log(report)
        return report

    def _check_texts(self) -> None:
        # Items with one text share their codes for certain; say so before training, not after.
        same_text = max(Counter(self.tokenizer.texts[1:]).values())
        if same_text > self.tokenizer.sizes[-1]:
            raise DisambiguationOverflow(
                f"{same_text} items have the same text, but `disambiguation_size` is "
                f"{self.tokenizer.sizes[-1]}: raise it to {same_text} or more, or give "
                f"`item_text` columns that tell items apart."
            )

    def _train_or_load(
        self, name: str, together, windows: Windows | None, show_progress: bool
    ) -> dict:
        cached = self.cache_file(name, together, windows)
        self.progress = StageProgress(self._progress, cached.stem)
        if self.progress.found:
            return {**self.progress.found, "cached": False}
        with one_at_a_time(cached):
            if (stage := read_cached(cached)) is not None:
                return {**stage, "cached": True}
            return {**self._make(cached, together, windows, show_progress), "cached": False}

    def _make(self, cached: Path, together, windows: Windows | None, show_progress: bool) -> dict:
        start = time.perf_counter()
        if self.tokenizer.reads == DENSE_TOKENS:
            stage = self._train(together, show_progress)
        elif self.tokenizer.reads == TOWER_VECTOR:
            stage = self._train_tower(windows, show_progress)
        else:
            stage = self._quantize()
        stage["seconds"] = self.progress.spent_before_s + time.perf_counter() - start
        self.progress.finish(stage)
        try:
            write(cached, stage)
        except OSError as error:  # a run that keeps the result itself can do without
            if not self.progress.is_kept:
                raise
            log.info("The tokenizer is in the run's folder alone: %s (%s).", cached.parent, error)
        return stage

    def cache_file(self, name: str, together, windows: Windows | None) -> Path:
        """Where the result is kept: another file for whatever else it depends on."""
        key = fingerprint(self.settings, self.tokenizer, together, self.encoder, windows)
        return cache_folder() / "tokenizers" / f"{name}-{key}{SUFFIX}"

    @torch.no_grad()
    def _take_weights(self, stage: dict) -> None:
        """Let the tokenizer read with what was trained, now or in an earlier run."""
        if "weights" not in stage:
            return
        if self.tokenizer.whitening is not None:
            for buffer, values in zip(
                self.tokenizer.whitening.buffers(), stage["whitening"], strict=True
            ):
                buffer.copy_(values)
        backbone, before = self.tokenizer.backbone, self.tokenizer.backbone.stage
        backbone.use_stage("tokenizer")
        for name, weight in self.tokenizer.trainable():
            weight.copy_(stage["weights"][name])
        backbone.use_stage(before)

    def _semantic_ids(self, codes: Tensor, counts: Counter) -> Tensor:
        """Codes [N, L - 1] and training counts -> semantic IDs [N, L].

        Popular items first, so that the level's codes mean a rank among look-alikes.
        """
        cold = set(self.tokenizer.cold_items.tolist())
        order = sorted(
            range(len(codes)), key=lambda place: (place + 1 in cold, -counts[place + 1], place)
        )
        ranked = disambiguate(codes[order], self.tokenizer.sizes[-1])
        semantic_ids = torch.empty_like(ranked)
        semantic_ids[order] = ranked
        return semantic_ids

    def _positives(self, factors: Tensor | None, items: list[int]) -> Tensor | None:
        if factors is None:
            return None
        return collaborative_positives(
            factors[items].to(self.tokenizer.device),
            self.settings["collaborative_share"],
        )

    def _quantize(self) -> dict:
        """Codes of the frozen text embeddings, or of nothing: no LLM is trained."""
        texts = self.tokenizer.texts[1:]
        vectors = torch.empty(len(texts), 0)
        if self.encoder is not None:
            vectors = self.encoder(texts, self.tokenizer.max_text_tokens)
        return self._fit_quantizer(vectors)

    def _fit_quantizer(self, vectors: Tensor) -> dict:
        """Quantizer, codes and points of all items; cold ones are read, but nothing is fitted to
        them.
        """
        if not torch.isfinite(vectors).all():  # weights may be numbers whose products are none
            raise Diverged(
                "The tokenizer's training diverged: what it makes of texts is no number after its "
                "last epoch; lower `tokenizer_learning_rate`."
            )
        fitted = copy.deepcopy(self.tokenizer.quantizer).cpu()
        known = self.tokenizer.is_known()[1:].cpu()
        fitted.progress = self.progress
        codes = fitted.fit(vectors[known], self.settings["seed"])
        return {
            "codes": codes if known.all() else fitted.assign(vectors),
            "points": fitted.points(vectors),
            self.tokenizer.name: list(fitted.buffers()),
            "report": fitted.report(),
        }

    def _train(self, together, show_progress: bool) -> dict:
        """Text-to-token and token-to-text on the LLM, then PCA and k-means."""
        settings, tokenizer = self.settings, self.tokenizer
        factors = None
        if together is not None:
            factors = collaborative_factors(together, settings["pca_dim"], settings["seed"])
        torch.manual_seed(settings["seed"])
        backbone, before = tokenizer.backbone, tokenizer.backbone.stage
        backbone.use_stage("tokenizer")
        backbone.train()
        tokenizer.slots.requires_grad_(True)
        trained = dict(tokenizer.trainable())
        optimizer = self.new_optimizer(
            params=list(trained.values()), learning_rate=settings["tokenizer_learning_rate"]
        )
        weights = (settings["token_to_text_weight"], settings["contrastive_weight"])
        at = _Place(list(tokenizer.to_learn), random.Random(settings["seed"]))
        if begun := self.progress.take_up(trained, optimizer):
            at.go_to(begun)
        items, rng, batch_size = at.items, at.rng, settings["tokenizer_batch_size"]
        n_epochs = settings["tokenizer_epochs"] if any(weights) else 0
        steps = -(-len(items) // batch_size)
        bar = tqdm(
            total=n_epochs * steps,
            initial=at.epoch * steps + at.start // batch_size,
            disable=not show_progress,
            desc="Tokenizer",
        )
        with bar:
            while at.epoch < n_epochs:
                if at.start == 0:
                    at.begin_epoch()
                while at.start < len(items):
                    batch = items[at.start : at.start + batch_size]
                    losses = tokenizer_losses(
                        tokenizer.slots,
                        backbone,
                        [tokenizer.fields[item] for item in batch],
                        tokenizer.token_texts.vocabulary,
                        self._positives(factors, batch),
                        *weights,
                        rng,
                    )
                    check_loss(losses.total, at.epoch, at.start // batch_size + 1)
                    optimizer.zero_grad()
                    losses.total.backward()
                    if settings["clip_grad_norm"]:
                        clip_grad_norm_(trained.values(), **settings["clip_grad_norm"])
                    optimizer.step()
                    at.go_on(batch_size, losses)
                    bar.update()
                    if self.progress.is_due and at.start < len(items):
                        self.progress.keep(at.state(), trained, optimizer)
                check_weights(trained, at.epoch)
                total, at.reconstruction, contrastive = (s / steps for s in at.sums)
                log.info(
                    "tokenizer epoch %d   loss %.4f   reconstruction %.4f   contrastive %.4f",
                    at.epoch,
                    total,
                    at.reconstruction,
                    contrastive,
                )
                at.epoch, at.start = at.epoch + 1, 0
                self.progress.keep(at.state(), trained, optimizer)
        optimizer.zero_grad()  # else stage 2 would clip by what stage 1 left behind
        kept = {name: weight.detach().clone() for name, weight in trained.items()}
        dense = tokenizer.quantizer_inputs(tokenizer.texts[1:]).cpu()
        tokenizer.slots.requires_grad_(False)
        backbone.use_stage(before)
        found = self._fit_quantizer(dense)
        known = tokenizer.is_known()[1:].cpu()
        means, counts = code_means(dense[known], found["codes"][known], settings["codebook_size"])
        return {
            "weights": kept,
            **found,
            "code_means": means,
            "code_counts": counts,
            "reconstruction_loss": at.reconstruction,
        }

    def _train_tower(self, windows: Windows, show_progress: bool) -> dict:
        """The frozen LLM's mean states, whitened; the tower on what follows what; then k-means."""
        settings, tokenizer = self.settings, self.tokenizer
        known = tokenizer.is_known()
        states = tokenizer.mean_states(tokenizer.texts[1:])
        tokenizer.whitening.fit(states[known[1:]])
        features = F.pad(tokenizer.whitening(states), (0, 0, 1, 0))
        torch.manual_seed(settings["seed"])
        tower = tokenizer.tower.train().requires_grad_(True)
        optimizer = self.new_optimizer(
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
        at = self.progress.take_up(trained, optimizer) or at
        n_targets = windows.wanted.sum(1)
        chance = math.log(int(known.sum()))
        n_batches = -(-len(n_targets) // settings["tokenizer_batch_size"])
        n_epochs = settings["tokenizer_epochs"]
        bar = tqdm(
            total=n_batches * n_epochs,
            initial=n_batches * at["epoch"],
            disable=not show_progress,
            desc="Tokenizer",
        )
        with bar:
            while at["epoch"] < n_epochs:
                if not at["batches"]:
                    at["total"] = 0.0
                    shuffled = torch.randperm(len(n_targets))
                    at["batches"] = similar_lengths(
                        n_targets[shuffled], settings["tokenizer_batch_size"], shuffled
                    )
                while at["batches"]:
                    rows, *at["batches"] = at["batches"]
                    part = windows.of_rows(rows)
                    items, wanted = (t.to(tokenizer.device) for t in part)
                    if not wanted.any():
                        continue
                    loss = tower_loss(
                        tower, features, items, wanted, ~known, tokenizer.backbone.bf16, sampler
                    )
                    check_loss(loss, at["epoch"], n_batches - len(at["batches"]))
                    optimizer.zero_grad()
                    loss.backward()
                    if settings["clip_grad_norm"]:
                        clip_grad_norm_(tower.parameters(), **settings["clip_grad_norm"])
                    optimizer.step()
                    at["total"] += loss.item() * int(wanted.sum())
                    bar.update()
                    if self.progress.is_due and at["batches"]:
                        self.progress.keep(at, trained, optimizer)
                check_weights(trained, at["epoch"])
                at["total"] /= int(n_targets.sum())
                log.info(
                    "tokenizer epoch %d   loss %.4f   (chance %.4f)",
                    at["epoch"],
                    at["total"],
                    chance,
                )
                at["epoch"] += 1
                self.progress.keep(at, trained, optimizer)
        optimizer.zero_grad()  # else stage 2 would clip by what stage 1 left behind
        tower.eval().requires_grad_(False)
        with torch.no_grad():
            vectors = tower.items(features[1:])
        found = self._fit_quantizer(vectors.cpu())
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


def _log(report: dict) -> None:
    log.info(
        "Tokenizer: %d items, %d without text; %d distinct IDs before disambiguation, at most "
        "%d items on one",
        report["items"],
        report["items_without_text"],
        report["distinct"],
        report["largest_group"],
    )
    for level, (used, bits) in enumerate(
        zip(report["utilisation"], report["entropy_bits"], strict=True)
    ):
        log.info("  level %d: %.0f%% of codes in use, %.2f bits", level, 100 * used, bits)
    if report["reconstruction_loss"] is not None:
        log.info("  reconstruction loss %.4f", report["reconstruction_loss"])
