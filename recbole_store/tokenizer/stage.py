"""The first stage as a whole: texts -> tokenizer -> codes, cached."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

import recbole_store.processes.ranks as ranks
from recbole_store.data.writable import check_can_write
from recbole_store.errors import BackboneError, DisambiguationOverflow
from recbole_store.llm.model_files import CACHE_VARIABLE, cache_folder
from recbole_store.llm.text_encoder import TextEncoder
from recbole_store.processes.status import SILENT, Status
from recbole_store.tokenizer.cache import fingerprint, one_at_a_time, read_cached
from recbole_store.tokenizer.fit_quantizer import fit_quantizer
from recbole_store.tokenizer.item_tokenizer import ItemTokenizer
from recbole_store.tokenizer.quantizers.base import (
    DENSE_TOKENS,
    NOTHING,
    TEXT_EMBEDDING,
    TOWER_VECTOR,
)
from recbole_store.tokenizer.semantic_ids import disambiguate
from recbole_store.tokenizer.stage_progress import StageProgress
from recbole_store.tokenizer.tensor_file import SUFFIX, write
from recbole_store.tokenizer.text_tower import Windows
from recbole_store.tokenizer.train_slots import train_slots
from recbole_store.tokenizer.train_tower import train_tower

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
        status: Status = SILENT,
    ) -> dict:
        """Give every item its semantic ID.

        Args:
            name: of the data set, for the cache's file.
            together: how often training histories put items together, CSR [N + 1, N + 1]; None if
                ``reads_company`` is false.
            windows: of training histories; None if ``reads_windows`` is false.
            item_counts: training interactions of each item_id; popular items come first where
                several share their codes.
            status: says how far the stage is.

        Returns:
            What the stage found: ``codes``, ``points``, the quantizer's buffers under its name,
            ``report``, ``seconds``, ``cached``; with dense tokens also ``weights``,
            ``code_means``, ``code_counts`` and ``reconstruction_loss``.

        Raises:
            DisambiguationOverflow: too many items share their codes.
            SettingsError: it has to be made, and the cache cannot be written.
            Diverged: its training came to no numbers.
        """
        tokenizer = self.tokenizer
        if tokenizer.reads != NOTHING:
            self._check_texts()
        stage = self._train_or_load(name, together, windows, status)
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

    def _train_or_load(self, name: str, together, windows: Windows | None, status: Status) -> dict:
        cached = self.cache_file(name, together, windows)
        self.progress = StageProgress(self._progress, cached.stem, status)
        if self.progress.found:
            return {**self.progress.found, "cached": False}
        with one_at_a_time(cached):
            if (stage := ranks.from_first(lambda: read_cached(cached))) is not None:
                return {**stage, "cached": True}
            ranks.from_first(lambda: self._check_room(cached.parent))
            return {**self._make(cached, together, windows), "cached": False}

    def _check_room(self, folder: Path) -> None:
        """What is made will have to be kept; what is there already is read from anywhere."""
        kept = [weight for _, weight in self.tokenizer.trainable()]
        kept += [*self.tokenizer.buffers(), *self.tokenizer.quantizer.buffers()]
        remedy = f"name another folder in ${CACHE_VARIABLE}"
        check_can_write(folder, remedy, sum(part.nbytes for part in kept))

    def _make(self, cached: Path, together, windows: Windows | None) -> dict:
        start = time.perf_counter()
        parts = (self.tokenizer, self.settings, self.new_optimizer, self.progress)
        if self.tokenizer.reads == DENSE_TOKENS:
            stage = train_slots(*parts, together)
        elif self.tokenizer.reads == TOWER_VECTOR:
            stage = train_tower(*parts, windows)
        else:
            stage = self._quantize()
        stage["seconds"] = self.progress.spent_before_s + time.perf_counter() - start
        self.progress.finish(stage)
        if not ranks.is_first():
            return stage
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

    def _quantize(self) -> dict:
        """Codes of the frozen text embeddings, or of nothing: no LLM is trained."""
        texts = self.tokenizer.texts[1:]
        vectors = torch.empty(len(texts), 0)
        if self.encoder is not None:
            vectors = self.encoder(texts, self.tokenizer.max_text_tokens, self.progress.status)
        if not torch.isfinite(vectors).all():
            raise BackboneError(
                f"The text encoder `{self.tokenizer.encoder_name}` makes vectors of the texts that "
                "are no numbers: set `text_encoder` to another."
            )
        return fit_quantizer(self.tokenizer, vectors, self.settings["seed"], self.progress)


def _log(report: dict) -> None:
    log.info(
        "Tokenizer: %d items, %d without text; %d distinct semantic IDs, up to %d items on one, "
        "which one more code tells apart",
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
