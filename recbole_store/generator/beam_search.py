"""Conditional beam search over the trie of items, and exact log-likelihoods of given items.

Both ask a *step* for logits and know no model:

``step(level, parents, codes) -> logits``
    level 0: parents and codes are None; logits [B, 1, C_0] behind each user's history.
    level l: beam k continues beam ``parents[:, k]`` of the step before with ``codes[:, k]``, a code
    of level l - 1; logits [B, K, C_l] behind that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from recbole_store.generator.code_trie import Children, CodeTrie

Step = Callable[[int, Tensor | None, Tensor | None], Tensor]

NORMALIZE_OVER = ("level", "children")


class Beams(NamedTuple):
    """Items found for each user, best first."""

    item_ids: Tensor  # int64 [B, K]; 0 where there was no further item
    log_probs: Tensor  # fp32 [B, K]; -inf where there was no further item


def next_log_probs(logits: Tensor, children: Children, normalize_over: str) -> Tensor:
    """Log-probability of each child [..., F], from the logits of all codes of its level [..., C].

    ``level``: softmax over the level's codes, as the model was trained, forbidden ones masked
    afterwards. ``children``: softmax over the allowed codes alone, so that the probabilities of
    all items sum to 1. Forbidden children get -inf.
    """
    logits = logits.float()
    of_child = logits.gather(-1, children.codes).masked_fill(~children.allowed, -torch.inf)
    over = of_child if normalize_over == "children" else logits
    return of_child - over.logsumexp(-1, keepdim=True)


def beam_search(step: Step, trie: CodeTrie, num_beams: int, normalize_over: str = "level") -> Beams:
    """The ``num_beams`` (K) likeliest items of each user, as far as the beam finds them.

    A beam carries the trie node of its prefix, so each level is one gather of the children, one
    top-k and one reorder, for all users and beams at once. Every finished beam is an item.
    """
    parents = codes = None
    nodes = log_probs = None
    for level in range(trie.n_levels):
        logits = step(level, parents, codes)
        if nodes is None:
            nodes = torch.zeros(logits.shape[:2], dtype=torch.long, device=logits.device)
            log_probs = torch.zeros(logits.shape[:2], device=logits.device)
        children = trie.children(level, nodes)
        paths = log_probs[..., None] + next_log_probs(logits, children, normalize_over)
        fan_out = paths.size(-1)
        log_probs, best = paths.flatten(1).topk(min(num_beams, paths[0].numel()))  # [B, K]
        parents = best // fan_out
        codes = children.codes.flatten(1).gather(1, best)
        nodes = children.nodes.flatten(1).gather(1, best)
    items = trie.item[nodes].masked_fill(log_probs == -torch.inf, 0)
    return Beams(items, log_probs)


def path_log_probs(
    step: Step, codes: Tensor, trie: CodeTrie | None = None, normalize_over: str = "level"
) -> Tensor:
    """Exact log-likelihood of given semantic IDs [B, R, L] -> [B, R], by teacher forcing.

    Args:
        trie: needed for ``normalize_over="children"`` only.
    """
    n_users, n_paths, n_levels = codes.shape
    total = torch.zeros(n_users, n_paths, device=codes.device)
    # At level 1 all paths continue the history's end, the one row of level 0; then each its own.
    nodes = torch.zeros(n_users, n_paths, dtype=torch.long, device=codes.device)
    own = torch.arange(n_paths, device=codes.device).expand(n_users, -1)
    for level in range(n_levels):
        parents = torch.zeros_like(own) if level == 1 else own
        behind = (None, None) if level == 0 else (parents, codes[..., level - 1])
        logits = step(level, *behind).float().expand(-1, n_paths, -1)
        code = codes[..., level]
        chosen = logits.gather(-1, code[..., None]).squeeze(-1)
        if normalize_over == "children":
            allowed = trie.children(level, nodes)
            over = logits.gather(-1, allowed.codes).masked_fill(~allowed.allowed, -torch.inf)
            nodes = trie.child(level, nodes, code)
        else:
            over = logits
        total += chosen - over.logsumexp(-1)
    return total
