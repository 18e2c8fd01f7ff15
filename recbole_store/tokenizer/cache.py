"""Where a tokenizer stage's result is kept, and all that it depends on."""

from __future__ import annotations

import hashlib
import json

from recbole_store.llm.text_encoder import TextEncoder, weights_digest

# Raised whenever the tokenizer stage comes to give other codes, or to keep other things, for the
# same settings.
TOKENIZER_VERSION = 6

# Settings that the palette's result depends on, and so its cache.
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
# And the other quantizers', besides their own keys; those of TEXT_KEYS where they read texts.
QUANTIZER_KEYS = ("tokenizer", "n_levels", "codebook_size", "seed")
TEXT_KEYS = ("text_encoder", "max_text_words")


def digest(*arrays) -> str:
    """Hash of NumPy arrays' bytes."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(array.tobytes())
    return found.hexdigest()


def fingerprint(config, model, counts) -> str:
    """Hash of all that the tokenizer's result depends on: texts, settings, the LLM's weights."""
    content = {
        "version": TOKENIZER_VERSION,
        "settings": {key: config[key] for key in TOKENIZER_KEYS},
        "bf16": model.backbone.bf16,
        "texts": model.pieces,
        "cold": model.cold_items.tolist(),
        "together": None if counts is None else digest(counts.indptr, counts.indices, counts.data),
        "weights": weights_digest(model.backbone.llm),
    }
    return _hash_of(content)


def quantizer_fingerprint(config, model, encoder: TextEncoder | None) -> str:
    """The same of a quantizer that reads no dense tokens: of as little as it reads.

    Args:
        encoder: of the texts; None if it reads none.
    """
    keys = [*QUANTIZER_KEYS, *model.quantizer.keys]
    content = {
        "version": TOKENIZER_VERSION,
        "items": model.n_items,
        "cold": model.cold_items.tolist(),
    }
    if encoder is not None:
        keys += TEXT_KEYS
        content |= {"texts": model.pieces, "weights": encoder.digest()}
    content["settings"] = {key: config[key] for key in keys}
    return _hash_of(content)


def _hash_of(content: dict) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
