"""Conditional beam search over the trie of items, and exact log-likelihoods of given items.

Both ask a :class:`recbole_store.generator.step.Step` for logits and know no model.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from recbole_store.generator.code_trie import Children, CodeTrie
from recbole_store.generator.excluded_items import ExcludedItems
from recbole_store.generator.step import Step


class Beams(NamedTuple):
    """Items found for each user, best first."""

    item_ids: Tensor  # int64 [B, K]; 0 where there was no further item
    log_probs: Tensor  # fp32 [B, K]; -inf where there was no further item
    pruned: Tensor  # fp32 [B], the likeliest prefix that was left out; -inf where none was

    def is_exact(self, k: int) -> Tensor:
        """bool [B]: whether the first k are certainly the likeliest k of the whole catalogue.

        Log-probabilities only fall along a path, so a pruned prefix bounds every item behind it.
        (Of items with equal log-probability either may be left out.)
        """
        n_found = self.log_probs.size(1)
        if k > n_found:  # exact only where nothing was left out
            return self.pruned == -torch.inf
        return self.log_probs[:, k - 1] >= self.pruned


def path_scores(logits: Tensor, children: Children, log_probs: Tensor) -> Tensor:
    """Log-probability of each child's whole prefix, [..., F]; -inf for what is no child.

    The softmax is over all codes of the level, as in training, and forbidden ones are masked
    behind it. Over the allowed ones alone the codes of an item that has its prefix to itself would
    be certain, and need no query: a third of the time, but another model than was trained.

    Args:
        logits: [..., C], of all codes of the level.
        log_probs: [...], of the prefixes so far.
    """
    logits = logits.float()
    return children.logits(logits - (logits.logsumexp(-1) - log_probs)[..., None])


class Continued(NamedTuple):
    """Prefixes [B, M], each of them one of the step's queries, with all that may follow them."""

    children: Children
    scores: Tensor  # fp32 [B, M, F], log-probability of each child's whole prefix

    def follow(self, best: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Where chosen children lead: their prefix's query, their code and their node.

        Args:
            best: int64 [B, K], places in scores.flatten(1).
        """
        prefix, place = best // self.scores.size(-1), best % self.scores.size(-1)
        return prefix, *self.children.follow(prefix, place)


def continue_prefixes(
    step: Step,
    trie: CodeTrie,
    level: int,
    queries: Tensor,
    codes: Tensor,
    nodes: Tensor,
    log_probs: Tensor,
    excluded: ExcludedItems | None = None,
) -> Continued:
    """Ask the step for what follows prefixes of ``level`` > 0 codes, [B, M].

    Args:
        queries, codes: the query that led to each prefix, and its last code.
    """
    children = trie.children(level, nodes)
    scores = path_scores(step(level, queries, codes), children, log_probs)
    scores = scores if excluded is None else excluded.exclude(trie, level, children, scores)
    return Continued(children, scores)


def begin(step: Step, trie: CodeTrie, excluded: ExcludedItems | None = None) -> Continued:
    """What may follow each user's history: level 0."""
    logits = step(0, None, None)
    root = torch.zeros(logits.shape[:2], dtype=torch.long, device=logits.device)
    children = trie.children(0, root)
    scores = path_scores(logits, children, root.float())
    scores = scores if excluded is None else excluded.exclude(trie, 0, children, scores)
    return Continued(children, scores)


def beam_search(
    step: Step,
    trie: CodeTrie,
    num_beams: int,
    excluded: ExcludedItems | None = None,
) -> Beams:
    """The ``num_beams`` (K) likeliest items of each user, as far as the beam finds them.

    A beam carries the trie node of its prefix, so each level is one gather of the children, one
    top-k and one reorder, for all users and beams at once. Every finished beam is an item.

    Args:
        excluded: items that a user must not get. Probabilities stay what they are without it.
    """
    longer = begin(step, trie, excluded)
    pruned = torch.full_like(longer.scores[:, 0, 0], -torch.inf)
    for level in range(1, trie.n_levels + 1):
        scores = longer.scores.flatten(1)
        # One more than the beam holds: it bounds all that is left out here.
        log_probs, best = scores.topk(min(num_beams + 1, scores.size(1)))  # [B, K]
        if log_probs.size(1) > num_beams:
            pruned = torch.maximum(pruned, log_probs[:, num_beams])
            log_probs, best = log_probs[:, :num_beams], best[:, :num_beams]
        queries, codes, nodes = longer.follow(best)
        if level < trie.n_levels:
            longer = continue_prefixes(
                step, trie, level, queries, codes, nodes, log_probs, excluded
            )
    items = trie.items(nodes).masked_fill_(log_probs == -torch.inf, 0)
    return Beams(items, log_probs, pruned)


class WithPaths:
    """A step that, beside a search's queries, asks those of given paths: no call is made for them.

    For a search that asks each level once, as :func:`beam_search` does.

    Args:
        codes: semantic IDs of R paths a user, int64 [B, R, L].

    Attributes:
        log_probs: exact log-likelihoods of the paths so far, fp32 [B, R].
    """

    def __init__(self, step: Step, codes: Tensor):
        self.step, self.codes, self.n_users = step, codes, len(codes)
        self.log_probs = torch.zeros(codes.shape[:2], device=codes.device)
        self._n_before = 0  # the search's own queries of the level before

    def __call__(self, level: int, parents: Tensor | None, codes: Tensor | None) -> Tensor:
        if level == 0:
            logits = self.step(0, None, None)
            self._add(0, logits)
            return logits
        n_own, behind = codes.size(1), self.codes[..., level - 1]
        before = torch.zeros_like(behind)  # all continue the history's end, the one row of level 0
        if level > 1:
            before = (self._n_before + torch.arange(behind.size(1), device=behind.device)).expand(
                len(behind), -1
            )
        logits = self.step(level, torch.cat([parents, before], 1), torch.cat([codes, behind], 1))
        self._n_before = n_own
        self._add(level, logits[:, n_own:])
        return logits[:, :n_own]

    def _add(self, level: int, logits: Tensor) -> None:
        self.log_probs += chosen_log_probs(logits, self.codes[..., level])


def chosen_log_probs(logits: Tensor, codes: Tensor) -> Tensor:
    """Log-probability of codes [B, R] by logits [B, R or 1, C], fp32 [B, R]."""
    logits = logits.float().expand(-1, codes.size(1), -1)
    return logits.gather(-1, codes[..., None]).squeeze(-1) - logits.logsumexp(-1)


def path_log_probs(step: Step, codes: Tensor) -> Tensor:
    """Exact log-likelihood of given semantic IDs [B, R, L] -> [B, R], by teacher forcing."""
    n_users, n_paths, n_levels = codes.shape
    total = torch.zeros(n_users, n_paths, device=codes.device)
    # At level 1 all paths continue the history's end, the one row of level 0; then each its own.
    own = torch.arange(n_paths, device=codes.device).expand(n_users, -1)
    for level in range(n_levels):
        parents = torch.zeros_like(own) if level == 1 else own
        behind = (None, None) if level == 0 else (parents, codes[..., level - 1])
        total += chosen_log_probs(step(level, *behind), codes[..., level])
    return total
