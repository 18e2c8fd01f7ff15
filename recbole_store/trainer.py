"""STORE's two stages inside RecBole's ``fit``: first the tokenizer, then the recommender."""

from __future__ import annotations

import hashlib
import json
import logging
import random
import time
from collections import Counter
from pathlib import Path

import torch
from recbole.trainer import Trainer
from recbole.utils import init_seed
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from tqdm import tqdm

from recbole_store.backbone_files import cache_folder
from recbole_store.tokenizer.co_occurrence import co_occurrence, collaborative_factors
from recbole_store.tokenizer.dense_tokens import collaborative_positives, tokenizer_losses
from recbole_store.tokenizer.quantizers import Palette, code_means, fit_palette
from recbole_store.tokenizer.semantic_ids import (
    DisambiguationOverflow,
    disambiguate,
    write_table,
)

log = logging.getLogger(__name__)

# Raised whenever the tokenizer stage comes to give other codes for the same settings.
TOKENIZER_VERSION = 3

# Settings that the tokenizer's result depends on, and so its cache.
TOKENIZER_KEYS = (
    "backbone",
    "backbone_layers",
    "tuning",
    "lora_rank",
    "lora_alpha",
    "lora_dropout",
    "lora_target_modules",
    "tokenizer",
    "n_levels",
    "codebook_size",
    "pca_dim",
    "max_text_words",
    "tokenizer_epochs",
    "tokenizer_batch_size",
    "tokenizer_learning_rate",
    "token_to_text_weight",
    "contrastive_weight",
    "decorrelation_weight",
    "temperature",
    "attribute_dropout",
    "collaborative_share",
    "learner",
    "weight_decay",
    "warmup_steps",
    "clip_grad_norm",
    "seed",
)


class STORETrainer(Trainer):
    """RecBole's trainer with the tokenizer stage before it.

    Early stopping, checkpoints of the best epoch and TensorBoard are RecBole's own.
    """

    def _build_optimizer(self, **kwargs):
        """RecBole's choice of optimizer, with a learning rate each for LLM and code tokens."""
        kwargs.setdefault("params", self.model.parameter_groups())
        optimizer = super()._build_optimizer(**kwargs)
        warm_up(optimizer, self.config["warmup_steps"])
        return optimizer

    def fit(self, train_data, valid_data=None, verbose=True, saved=True, **kwargs):
        """Tokenize the items, then train the recommender on their codes."""
        self.tokenize_items(train_data.dataset, show_progress=kwargs.get("show_progress", False))
        # From here on, a cached tokenizer and one trained just now give the same run.
        init_seed(self.config["seed"], self.config["reproducibility"])
        self.model.use_stage("recommender")
        self.optimizer = self._build_optimizer()
        log.info(
            "Recommender: %d windows for %d targets, %.1fM trained parameters, %s",
            len(train_data.dataset),
            len(train_data.dataset.inter_feat),
            self.model.trained_parameters / 1e6,
            "bf16" if self.model.backbone.bf16 else "fp32",
        )
        result = super().fit(train_data, valid_data, verbose=verbose, saved=saved, **kwargs)
        if self.config["tuning"] == "full":
            if saved:  # the best epoch, which is what will be tested
                best = torch.load(self.saved_model_file, map_location=self.device)
                self.model.load_state_dict(best["state_dict"])
            self._log_agreement()
        return result

    def tokenize_items(self, dataset, show_progress: bool = False) -> None:
        """Give every item its semantic ID: from the cache, or by training the tokenizer stage."""
        model = self.model
        # Items with one text share their codes for certain; say so before training, not after.
        same_text = max(Counter(model.texts[1:]).values())
        if same_text > self.config["disambiguation_size"]:
            raise DisambiguationOverflow(
                f"{same_text} items have the same text, but `disambiguation_size` is "
                f"{self.config['disambiguation_size']}: raise it to {same_text} or more, or give "
                f"`item_text` columns that tell items apart."
            )
        counts = self._co_occurrence(dataset)
        key = fingerprint(self.config, model, counts)
        cached = cache_folder() / "tokenizers" / f"{dataset.dataset_name}-{key}.pt"
        found = cached.is_file()
        if found:
            stage = torch.load(cached, map_location="cpu", weights_only=True)
            log.info("Tokenizer: unchanged since an earlier run, taken from %s", cached)
        else:
            start = time.perf_counter()
            stage = self._train_tokenizer(counts, show_progress)
            stage["seconds"] = time.perf_counter() - start
            cached.parent.mkdir(parents=True, exist_ok=True)
            part = cached.with_suffix(f".{time.time_ns()}")
            torch.save(stage, part)
            part.rename(cached)  # a killed run leaves no half-written cache
        model.load_state_dict(stage["weights"], strict=False)
        model.backbone.copy_adapter("tokenizer", "recommender")
        model.start_codes_from(stage["code_means"], stage["code_counts"])
        # Popular items first, so that the level's codes mean a rank among look-alikes.
        seen = dataset.item_counter
        order = sorted(range(1, model.n_items), key=lambda item: (-seen[item], item))
        order = torch.tensor(order) - 1
        semantic_ids = torch.empty(model.n_items - 1, model.vocabulary.n_levels, dtype=torch.long)
        semantic_ids[order] = disambiguate(
            stage["codes"][order], self.config["disambiguation_size"]
        )
        model.set_semantic_ids(semantic_ids, Palette(*stage["palette"]))
        model.tokenizer_report = {
            **model.statistics(),
            "items_without_text": model.n_items - 1 - len(model.items_with_text),
            "reconstruction_loss": stage["reconstruction_loss"],
            "tokenizer_s": stage["seconds"],
            "tokenizer_cached": found,
        }
        self._log_tokenizer()
        write_table(
            Path(self.checkpoint_dir) / "semantic_ids.tsv",
            list(dataset.field2id_token[dataset.iid_field][1:]),
            model.semantic_ids[1:],
            model.texts[1:],
        )

    def _co_occurrence(self, dataset):
        """How often training histories put items together, [n_items, n_items]; None if unused."""
        if self.config["collaborative_share"] == 0 or self.config["contrastive_weight"] == 0:
            return None
        rows = dataset.inter_feat
        return co_occurrence(
            rows[self.model.ITEM_SEQ].numpy(),
            rows[self.model.ITEM_SEQ_LEN].numpy(),
            rows[self.model.ITEM_ID].numpy(),
            self.model.n_items,
        )

    def _positives(self, factors: Tensor | None, items: list[int]) -> Tensor | None:
        if factors is None:
            return None
        return collaborative_positives(
            factors[items].to(self.device),
            self.config["collaborative_share"],
            self.config["temperature"],
        )

    def _train_tokenizer(self, counts, show_progress: bool) -> dict:
        """Stage 1: text-to-token and token-to-text; then PCA, k-means and disambiguation."""
        config, model = self.config, self.model
        factors = None
        if counts is not None:
            factors = collaborative_factors(counts, config["pca_dim"], config["seed"])
        init_seed(config["seed"], config["reproducibility"])
        model.use_stage("tokenizer")
        model.train()
        optimizer = self._build_optimizer(
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
                        model.word_vocabulary,
                        self._positives(factors, batch),
                        *weights,
                        config["temperature"],
                        config["attribute_dropout"],
                        rng,
                    )
                    self._check_nan(losses.total)
                    optimizer.zero_grad()
                    losses.total.backward()
                    if self.clip_grad_norm:
                        clip_grad_norm_(model.parameters(), **self.clip_grad_norm)
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
        trained = {n for n, weight in model.named_parameters() if weight.requires_grad}
        dense = model.encode(model.texts[1:]).cpu()
        palette = fit_palette(
            dense, config["codebook_size"], config["pca_dim"], seed=config["seed"]
        )
        codes = palette.assign(dense)
        means, counts = code_means(dense, codes, config["codebook_size"])
        return {
            "weights": {n: w for n, w in model.state_dict().items() if n in trained},
            "palette": list(palette),
            "codes": codes,
            "code_means": means,
            "code_counts": counts,
            "reconstruction_loss": reconstruction,
        }

    def _log_tokenizer(self) -> None:
        report = self.model.tokenizer_report
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

    def _log_agreement(self) -> None:
        """With all weights tuned, stage 2 changes the LLM that made the codes: say by how much."""
        codes = self.model.tokenize(self.model.texts[1:])
        same = (codes == self.model.semantic_ids[1:, :-1]).all(1).float().mean().item()
        self.model.retokenized_same = same
        log.info("Tokenized again by the tuned LLM, %.1f%% of items keep their codes", 100 * same)


def warm_up(optimizer: torch.optim.Optimizer, n_steps: int) -> None:
    """Raise the learning rates linearly over the first ``n_steps`` steps; then they stay."""
    if n_steps > 0:
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: min((step + 1) / n_steps, 1.0)
        )
        optimizer.register_step_post_hook(lambda *_: schedule.step())


def digest(*arrays) -> str:
    """Hash of NumPy arrays' bytes."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(array.tobytes())
    return found.hexdigest()


def fingerprint(config, model, counts) -> str:
    """Hash of all that the tokenizer's result depends on: texts, settings, the LLM's weights."""
    weights = hashlib.sha256()
    for name, weight in model.backbone.llm.state_dict().items():
        # A sample of the numbers tells one model from another without hashing every byte of it;
        # a sum would differ with the number of threads.
        weights.update(f"{name}{tuple(weight.shape)}".encode())
        weights.update(weight.detach().flatten()[::997].cpu().contiguous().numpy().tobytes())
    content = {
        "version": TOKENIZER_VERSION,
        "settings": {key: config[key] for key in TOKENIZER_KEYS},
        "bf16": model.backbone.bf16,
        "texts": model.pieces,
        "together": None if counts is None else digest(counts.indptr, counts.indices, counts.data),
        "weights": weights.hexdigest(),
    }
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
