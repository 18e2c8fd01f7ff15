"""Vectors of items -> a fitted quantizer, with the codes and points of all items."""

from __future__ import annotations

import copy

from torch import Tensor

import recbole_store.processes.ranks as ranks
from recbole_store.tokenizer.item_tokenizer import ItemTokenizer
from recbole_store.tokenizer.stage_progress import StageProgress


def fit_quantizer(
    tokenizer: ItemTokenizer, vectors: Tensor, seed: int, progress: StageProgress
) -> dict:
    """Fit a copy of the tokenizer's quantizer; cold items are read, but nothing is fitted to them.

    It takes seconds: of several processes the first one does it for all.

    Args:
        vectors: what the quantizer reads of items 1 to N, on the CPU, [N, ...].

    Returns:
        ``codes`` int64 [N, L - 1], ``points`` fp32 [N, P], the quantizer's buffers under the
        tokenizer's name, and its ``report``.
    """
    return ranks.from_first(lambda: _fit(tokenizer, vectors, seed, progress))


def _fit(tokenizer: ItemTokenizer, vectors: Tensor, seed: int, progress: StageProgress) -> dict:
    fitted = copy.deepcopy(tokenizer.quantizer).cpu()
    known = tokenizer.is_known()[1:].cpu()
    fitted.progress = progress
    codes = fitted.fit(vectors[known], seed)
    return {
        "codes": codes if known.all() else fitted.assign(vectors),
        "points": fitted.points(vectors),
        tokenizer.name: list(fitted.buffers()),
        "report": fitted.report(),
    }
