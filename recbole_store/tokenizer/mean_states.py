"""A catalogue's mean states of the frozen LLM, read once and kept in the cache.

Reading takes minutes a thousand texts of a large LLM, and does not depend on seeds, splits or what
is learnt on the states: so runs that differ in those share them.
"""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path

import torch
from torch import Tensor

import recbole_store.processes.ranks as ranks
from recbole_store.llm.layer_means import LayerMeans
from recbole_store.llm.model_digest import model_digest
from recbole_store.llm.model_files import cache_folder
from recbole_store.processes.status import SILENT, Status
from recbole_store.tokenizer.cache import one_at_a_time, read_cached
from recbole_store.tokenizer.tensor_file import SUFFIX, write

log = logging.getLogger(__name__)

KEPT_FROM = 500  # texts; fewer are read in seconds
STATES_VERSION = 1  # raised whenever the same texts come to have other states


def mean_states(
    backbone: str, texts: list[str], max_tokens: int, device, status: Status = SILENT
) -> Tensor:
    """Texts -> mean states of three layers, fp32 [N, 3 * H] on the CPU.

    Args:
        backbone: the LLM, as :func:`recbole_store.llm.loading.load` takes it.
        max_tokens: texts are cut to so many.
        status: says how many were read.

    Raises:
        BackboneError: the name leads to no causal LM.
    """
    reader = LayerMeans(backbone, device)
    if len(texts) < KEPT_FROM:
        return reader(texts, max_tokens, status)
    kept = cache_folder() / "states" / f"{_key(reader, backbone, texts, max_tokens)}{SUFFIX}"
    with one_at_a_time(kept):
        if (found := ranks.from_first(lambda: read_cached(kept))) is not None:
            return found["states"]
        states = reader(texts, max_tokens, status)
        if ranks.is_first():
            _keep(kept, states)
        return states


def _key(reader: LayerMeans, backbone: str, texts: list[str], max_tokens: int) -> str:
    content = {
        "version": STATES_VERSION,
        "weights": model_digest(backbone),
        "layers": reader.layers,
        "bf16": reader.bf16,
        "device": torch.device(reader.device).type,
        "max_tokens": max_tokens,
        "texts": texts,
    }
    text = json.dumps(content, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _keep(kept: Path, states: Tensor) -> None:
    try:
        write(kept, {"states": states})
    except OSError as error:  # the next run reads them again
        log.info("The LLM's states of the texts are not kept: %s (%s).", kept.parent, error)
