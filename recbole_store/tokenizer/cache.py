"""Where a tokenizer stage's result is kept, and all that it depends on.

An entry is made by one process, and others that want the same wait for it. One that is damaged is
thrown away and made again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import recbole_store.processes.ranks as ranks
from recbole_store.data.file_lock import hold
from recbole_store.errors import DamagedState
from recbole_store.llm.text_encoder import TextEncoder, weights_digest
from recbole_store.tokenizer.item_tokenizer import ItemTokenizer
from recbole_store.tokenizer.quantizers.base import DENSE_TOKENS, TEXT_EMBEDDING, TOWER_VECTOR
from recbole_store.tokenizer.quantizers.registry import QUANTIZERS
from recbole_store.tokenizer.tensor_file import read
from recbole_store.tokenizer.text_tower import Windows

log = logging.getLogger(__name__)

# Raised whenever the tokenizer stage comes to give other codes, or to keep other things, for the
# same settings.
TOKENIZER_VERSION = 8

WAIT_S = 0.5  # between two looks at a lock

# Settings that the palette's result depends on, and so its cache.
TOKENIZER_KEYS = (
    "backbone",
    "backbone_layers",
    "tuning",
    "lora_rank",
    "lora_target_modules",
    "tokenizer",
    "n_slots",
    "codebook_size",
    "pca_dim",
    "max_text_tokens",
    "tokenizer_epochs",
    "tokenizer_batch_size",
    "tokenizer_learning_rate",
    "token_to_text_weight",
    "contrastive_weight",
    "collaborative_share",
    "learner",
    "weight_decay",
    "warmup_steps",
    "clip_grad_norm",
    "seed",
)
# And the tower's; the LLM is read as it is.
TOWER_KEYS = (
    "backbone",
    "backbone_layers",
    "tokenizer",
    "n_slots",
    "codebook_size",
    "pca_dim",
    "max_text_tokens",
    "item_vector_size",
    "full_softmax_limit",
    "tokenizer_epochs",
    "tokenizer_batch_size",
    "tokenizer_learning_rate",
    "learner",
    "weight_decay",
    "warmup_steps",
    "clip_grad_norm",
    "seed",
)
# And the other quantizers', besides their own keys; those of TEXT_KEYS where they read texts.
QUANTIZER_KEYS = ("tokenizer", "n_slots", "codebook_size", "seed")
TEXT_KEYS = ("text_encoder", "max_text_tokens")


def stage_keys(tokenizer: str) -> tuple[str, ...]:
    """Settings that the stage of a tokenizer may read: those that its result depends on."""
    kind = QUANTIZERS[tokenizer]
    if kind.reads == DENSE_TOKENS:
        return TOKENIZER_KEYS
    if kind.reads == TOWER_VECTOR:
        return TOWER_KEYS
    return (*QUANTIZER_KEYS, *kind.keys, *(TEXT_KEYS if kind.reads == TEXT_EMBEDDING else ()))


def digest(*arrays) -> str:
    """Hash of NumPy arrays' bytes."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(array.tobytes())
    return found.hexdigest()


def fingerprint(
    settings: Mapping,
    tokenizer: ItemTokenizer,
    together,
    encoder: TextEncoder | None,
    windows: Windows | None = None,
) -> str:
    """Hash of all that the stage's result depends on: settings, texts, weights, histories.

    Args:
        settings: of :func:`stage_keys`.
        together: co-occurrence of items in training histories, CSR; None if it is not read.
        encoder: of the texts; None if no frozen encoder reads them.
        windows: of training histories; None if they are not read.
    """
    settings = dict(settings)
    if len(tokenizer.fields) - 1 <= settings.get("full_softmax_limit", 0):
        del settings["full_softmax_limit"]  # which says nothing of so few items
    content = {
        "version": TOKENIZER_VERSION,
        "settings": settings,
        "items": len(tokenizer.fields),
        "cold": tokenizer.cold_items.tolist(),
    }
    if tokenizer.reads in (DENSE_TOKENS, TOWER_VECTOR):
        content |= {
            "bf16": tokenizer.backbone.bf16,
            "texts": tokenizer.fields,
            "weights": weights_digest(tokenizer.backbone.llm),
        }
    if together is not None:
        content["together"] = digest(together.indptr, together.indices, together.data)
    if windows is not None:
        content["windows"] = digest(windows.items.numpy(), windows.wanted.numpy())
    if encoder is not None:
        content |= {"texts": tokenizer.fields, "weights": encoder.digest()}
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_cached(cached: Path) -> dict | None:
    """An entry of the cache; None where there is none, or none that is whole."""
    if not cached.is_file():
        return None
    try:
        found = read(cached)
    except DamagedState as error:
        log.info("%s It is thrown away, and made again.", error)
        with suppress(OSError):  # nobody can write there, which is told before it is made
            cached.unlink()
        return None
    log.info("Taken from %s, unchanged since an earlier run", cached)
    return found


@contextmanager
def one_at_a_time(cached: Path) -> Iterator[None]:
    """Wait until no other process makes this entry of the cache, and let none begin meanwhile.

    Of a run's several processes the first one holds it for all.
    """
    if not ranks.is_first():
        yield
        return
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        lock = cached.with_suffix(".lock").open("a+")
    except OSError:  # nobody can write there, so nobody is to be waited for
        yield
        return
    with lock:
        is_told = False
        while True:
            try:
                hold(lock.fileno())
                break
            except OSError:
                if not is_told:
                    log.info("Another process makes the very same; waiting for it.")
                is_told = True
                time.sleep(WAIT_S)
        yield
