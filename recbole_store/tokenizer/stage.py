"""The first stage as a whole: texts -> tokenizer -> semantic IDs, cached."""

from __future__ import annotations

import copy
import logging
import random
import time
from collections import Counter
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from tqdm import tqdm

from recbole_store.errors import DisambiguationOverflow
from recbole_store.llm.model_files import cache_folder
from recbole_store.llm.text_encoder import TextEncoder
from recbole_store.tokenizer.cache import fingerprint, quantizer_fingerprint
from recbole_store.tokenizer.co_occurrence import collaborative_factors, training_co_occurrence
from recbole_store.tokenizer.losses import collaborative_positives, tokenizer_losses
from recbole_store.tokenizer.quantizers.base import (
    DENSE_TOKENS,
    NOTHING,
    TEXT_EMBEDDING,
    code_means,
)
from recbole_store.tokenizer.semantic_ids import disambiguate, write_table

log = logging.getLogger(__name__)


class TokenizerStage:
    """Fits the tokenizer of a model, or takes it from the cache, and hands out the IDs.

    Args:
        config: RecBole's Config.
        model: a SemanticIdModel; STORE where the quantizer reads dense tokens.
        new_optimizer: called with ``params`` and ``learning_rate``.
    """

    def __init__(self, config, model, new_optimizer):
        self.config, self.model, self.new_optimizer = config, model, new_optimizer
        self.encoder: TextEncoder | None = None
        if model.quantizer.reads == TEXT_EMBEDDING:
            self.encoder = TextEncoder(model.text_encoder, model.device)

    def run(self, dataset, table: Path, show_progress: bool = False) -> None:
        """Give every item of the training split's dataset its semantic ID.

        Args:
            table: file for raw ids, codes and texts.

        Raises:
            DisambiguationOverflow: too many items share their codes.
        """
        model = self.model
        if model.quantizer.reads != NOTHING:
            self._check_texts()
        stage, cached = self._train_or_load(dataset, show_progress)
        model.start_recommender(stage)
        found = stage[self.config["tokenizer"]]
        for buffer, values in zip(model.quantizer.buffers(), found, strict=True):
            buffer.copy_(values)
        model.set_points(stage["points"])
        model.set_semantic_ids(self._semantic_ids(stage["codes"], dataset.item_counter))
        model.tokenizer_report = {
            "tokenizer": self.config["tokenizer"],
            **model.statistics(),
            **stage["report"],
            "items_without_text": model.texts[1:].count(""),
            "reconstruction_loss": stage.get("reconstruction_loss"),
            "tokenizer_s": stage["seconds"],
            "tokenizer_cached": cached,
        }
        self._log(model.tokenizer_report)
        raw_ids = list(dataset.field2id_token[dataset.iid_field][1:])
        write_table(table, raw_ids, model.semantic_ids[1:], model.texts[1:])

    def _check_texts(self) -> None:
        # Items with one text share their codes for certain; say so before training, not after.
        same_text = max(Counter(self.model.texts[1:]).values())
        if same_text > self.config["disambiguation_size"]:
            raise DisambiguationOverflow(
                f"{same_text} items have the same text, but `disambiguation_size` is "
                f"{self.config['disambiguation_size']}: raise it to {same_text} or more, or give "
                f"`item_text` columns that tell items apart."
            )

    def _train_or_load(self, dataset, show_progress: bool) -> tuple[dict, bool]:
        """What the stage found, and whether it came from the cache."""
        cached = self.cache_file(dataset)
        if cached.is_file():
            log.info("Tokenizer: unchanged since an earlier run, taken from %s", cached)
            return torch.load(cached, map_location="cpu", weights_only=True), True
        start = time.perf_counter()
        if self.model.quantizer.reads == DENSE_TOKENS:
            stage = self._train(self._co_occurrence(dataset), show_progress)
        else:
            stage = self._quantize()
        stage["seconds"] = time.perf_counter() - start
        cached.parent.mkdir(parents=True, exist_ok=True)
        part = cached.with_suffix(f".{time.time_ns()}")
        torch.save(stage, part)
        part.rename(cached)  # a killed run leaves no half-written cache
        return stage, False

    def cache_file(self, dataset) -> Path:
        """Where the result is kept: another file for whatever else it depends on."""
        if self.model.quantizer.reads == DENSE_TOKENS:
            key = fingerprint(self.config, self.model, self._co_occurrence(dataset))
        else:
            key = quantizer_fingerprint(self.config, self.model, self.encoder)
        return cache_folder() / "tokenizers" / f"{dataset.dataset_name}-{key}.pt"

    def _semantic_ids(self, codes: Tensor, seen: Counter) -> Tensor:
        """Codes [N, n_slots] and training counts -> semantic IDs [N, L].

        Popular items first, so that the level's codes mean a rank among look-alikes.
        """
        cold = set(self.model.cold_items.tolist())
        order = sorted(
            range(len(codes)), key=lambda place: (place + 1 in cold, -seen[place + 1], place)
        )
        ranked = disambiguate(codes[order], self.config["disambiguation_size"])
        semantic_ids = torch.empty_like(ranked)
        semantic_ids[order] = ranked
        return semantic_ids

    def _co_occurrence(self, dataset):
        """How often training histories put items together, [n_items, n_items]; None if unused."""
        if self.config["collaborative_share"] == 0 or self.config["contrastive_weight"] == 0:
            return None
        return training_co_occurrence(dataset, self.model.n_items)

    def _positives(self, factors: Tensor | None, items: list[int]) -> Tensor | None:
        if factors is None:
            return None
        return collaborative_positives(
            factors[items].to(self.model.device),
            self.config["collaborative_share"],
            self.config["temperature"],
        )

    def _quantize(self) -> dict:
        """Codes of the frozen text embeddings, or of nothing: no LLM is trained."""
        model, texts = self.model, self.model.texts[1:]
        vectors = torch.empty(len(texts), 0)
        if self.encoder is not None:
            vectors = self.encoder(texts, model.max_text_words)
        return self._fit_quantizer(vectors)

    def _fit_quantizer(self, vectors: Tensor) -> dict:
        """Quantizer, codes and points of all items; cold ones are read, but nothing is fitted to
        them.
        """
        fitted, known = copy.deepcopy(self.model.quantizer).cpu(), self._is_known()
        codes = fitted.fit(vectors[known], self.config["seed"])
        return {
            "codes": codes if known.all() else fitted.assign(vectors),
            "points": fitted.points(vectors),
            self.config["tokenizer"]: list(fitted.buffers()),
            "report": fitted.report(),
        }

    def _is_known(self) -> Tensor:
        """bool [N], False for cold items."""
        known = torch.ones(self.model.n_items - 1, dtype=torch.bool)
        known[self.model.cold_items.cpu() - 1] = False
        return known

    def _train(self, counts, show_progress: bool) -> dict:
        """Text-to-token and token-to-text on the LLM, then PCA and k-means."""
        config, model = self.config, self.model
        factors = None
        if counts is not None:
            factors = collaborative_factors(counts, config["pca_dim"], config["seed"])
        torch.manual_seed(config["seed"])
        model.use_stage("tokenizer")
        model.train()
        optimizer = self.new_optimizer(
            params=[weight for weight in model.parameters() if weight.requires_grad],
            learning_rate=config["tokenizer_learning_rate"],
        )
        weights = (
            config["token_to_text_weight"],
            config["contrastive_weight"],
            config["decorrelation_weight"],
        )
        rng = random.Random(config["seed"])
        items, batch_size = list(model.items_with_text), config["tokenizer_batch_size"]
        n_epochs = config["tokenizer_epochs"] if any(weights) else 0
        steps = -(-len(items) // batch_size)
        reconstruction = None
        with tqdm(total=n_epochs * steps, disable=not show_progress, desc="Tokenizer") as bar:
            for epoch in range(n_epochs):
                rng.shuffle(items)
                sums = [0.0, 0.0, 0.0]
                for start in range(0, len(items), batch_size):
                    batch = items[start : start + batch_size]
                    losses = tokenizer_losses(
                        model.dense_tokenizer,
                        model.backbone,
                        [model.pieces[item] for item in batch],
                        model.item_texts.vocabulary,
                        self._positives(factors, batch),
                        *weights,
                        config["temperature"],
                        config["attribute_dropout"],
                        rng,
                    )
                    if torch.isnan(losses.total):
                        raise ValueError("The tokenizer's training loss is nan.")
                    optimizer.zero_grad()
                    losses.total.backward()
                    if config["clip_grad_norm"]:
                        clip_grad_norm_(model.parameters(), **config["clip_grad_norm"])
                    optimizer.step()
                    sums = [s + loss.item() for s, loss in zip(sums, losses, strict=True)]
                    bar.update()
                total, reconstruction, contrastive = (s / steps for s in sums)
                log.info(
                    "tokenizer epoch %d   loss %.4f   reconstruction %.4f   contrastive %.4f",
                    epoch,
                    total,
                    reconstruction,
                    contrastive,
                )
        model.zero_grad()  # else stage 2 would clip by what stage 1 left behind
        trained = {n: w.detach() for n, w in model.named_parameters() if w.requires_grad}
        dense = model.encode(model.texts[1:]).cpu()
        found = self._fit_quantizer(dense)
        known = self._is_known()
        means, counts = code_means(dense[known], found["codes"][known], config["codebook_size"])
        return {
            "weights": trained,
            **found,
            "code_means": means,
            "code_counts": counts,
            "reconstruction_loss": reconstruction,
        }

    def _log(self, report: dict) -> None:
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
