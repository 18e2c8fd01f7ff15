"""Texts -> features that no history has touched: the input of a text tower.

``llm``: mean states of the frozen LLM, whitened, as STORE reads them. ``words``: what needs no
language model of that size, a bag of words in its principal components beside a small sentence
encoder's embedding; a yardstick for the former.
"""

from __future__ import annotations

import numpy as np
import torch
from sklearn.decomposition import TruncatedSVD
from torch import Tensor

from recbole_store.llm.layer_means import layers_read
from recbole_store.llm.model_files import MINILM
from recbole_store.llm.text_encoder import TextEncoder
from recbole_store.processes.status import SILENT, Status
from recbole_store.tokenizer.mean_states import mean_states
from recbole_store.tokenizer.nearest import bags_of_words, principal_axes
from recbole_store.tokenizer.whitening import FEATURES, Whitening

WORD_COMPONENTS = 384
ENCODER_COMPONENTS = 200
KINDS = {"llm": FEATURES, "words": WORD_COMPONENTS + ENCODER_COMPONENTS}  # and their widths


def text_features(
    kind: str,
    texts: list[str],
    known: Tensor,
    backbone: str,
    max_tokens: int,
    device,
    status: Status = SILENT,
) -> Tensor:
    """Features [N, F] of texts; what a small catalogue lacks is 0.

    Args:
        kind: of KINDS.
        known: bool [N], texts that anything is fitted on.
        backbone: the LLM of ``llm``.
        max_tokens: texts are cut to so many.
        status: says how many were read.
    """
    found = torch.zeros(len(texts), KINDS[kind])
    known = known.cpu()
    if kind == "llm":
        states = mean_states(backbone, texts, max_tokens, device, status)
        whitening = Whitening(states.size(1), len(layers_read(1)), int(known.sum()))
        whitening.fit(states[known])
        parts = [whitening(states)]
    else:
        embeddings = TextEncoder(MINILM, device)(texts, max_tokens, status).numpy()
        mean, axes = principal_axes(embeddings[known.numpy()], ENCODER_COMPONENTS)
        parts = [_words(texts, known), torch.from_numpy((embeddings - mean) @ axes.T)]
    start = 0
    for part in parts:
        found[:, start : start + part.size(1)] = part
        start += part.size(1)
    return found


def _words(texts: list[str], known: Tensor) -> Tensor:
    """Components of a bag of words, each with variance 1, [N, <= WORD_COMPONENTS]."""
    bags = bags_of_words(texts)
    n_components = min(WORD_COMPONENTS, min(bags.shape) - 1)
    if n_components < 1:
        return torch.zeros(len(texts), 0)
    svd = TruncatedSVD(n_components, random_state=0).fit(bags[known.numpy()])
    unit = svd.transform(bags)
    unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-9)
    of_known = unit[known.numpy()]
    scaled = (unit - of_known.mean(0)) / np.maximum(of_known.std(0), 1e-6)
    return torch.from_numpy(scaled.astype(np.float32))
