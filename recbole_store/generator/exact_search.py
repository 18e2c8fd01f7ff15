"""The true top-k of the whole catalogue: beam search, then on from what it pruned.

Log-probabilities only fall along a path, so a prefix bounds all items behind it. The first sweep
over the levels is beam search itself; what it prunes is kept. As long as a kept prefix is at least
as likely as the k-th item found, another sweep continues the likeliest of them.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from recbole_store.generator.beam_search import (
    Beams,
    Continued,
    begin,
    continue_prefixes,
)
from recbole_store.generator.code_trie import CodeTrie
from recbole_store.generator.excluded_items import ExcludedItems
from recbole_store.generator.step import Decoder


class _Prefixes(NamedTuple):
    """Prefixes of one length that wait to be continued, [B, n]; log_probs are -inf for padding."""

    log_probs: Tensor
    queries: Tensor  # which query of the level before led here
    codes: Tensor
    nodes: Tensor

    def likeliest(self, n: int) -> tuple[_Prefixes, Tensor]:
        """The n likeliest of each user, and their places [B, n]."""
        log_probs, best = self.log_probs.topk(n)
        others = (part.gather(1, best) for part in self[1:])
        return _Prefixes(log_probs, *others), best

    def and_also(self, others: _Prefixes) -> _Prefixes:
        return _Prefixes(*(torch.cat(parts, 1) for parts in zip(self, others, strict=True)))


def exact_search(
    step: Decoder,
    trie: CodeTrie,
    num_beams: int,
    k: int,
    excluded: ExcludedItems | None = None,
) -> Beams:
    """The k likeliest items of each user over the whole catalogue, equal ones by item_id.

    ``pruned`` of the result is below the k-th log-probability, for every user: what was left out
    cannot lead to the top-k. That costs beam search alone where beam search was exact already; the
    other users go on among themselves.

    Args:
        step: which is narrowed to the users that are unsure.
        num_beams: prefixes of a user and level that are continued in one pass.
        excluded: items that a user must not get.
    """
    search = _Search(step, trie, num_beams, k, excluded)
    users = torch.arange(len(search.pruned), device=search.pruned.device)
    result = Beams(*(torch.empty_like(part) for part in search.found()))
    while True:
        search.sweep()
        for part, now in zip(result, search.found(), strict=True):
            part[users] = now
        unsure = search.unsure()
        if len(unsure) == 0:
            return result
        users = users[unsure]
        search.select(unsure)


class _Search:
    """The state of an exact search for a batch of users.

    Attributes:
        waiting: per level, the prefixes that a query of this level would continue.
        asked: per level, queries of a user so far.
    """

    def __init__(self, step: Decoder, trie: CodeTrie, num_beams: int, k: int, excluded):
        self.step, self.trie, self.excluded = step, trie, excluded
        self.num_beams = num_beams
        first = begin(step, trie, excluded)
        n_users, device = len(first.scores), first.scores.device
        nothing = torch.zeros(n_users, 0, dtype=torch.long, device=device)
        empty = _Prefixes(nothing.float(), nothing, nothing, nothing)
        self.waiting = [empty] * trie.n_levels
        self.asked = [0] * trie.n_levels
        self.item_ids = nothing.new_zeros(n_users, k)
        self.log_probs = torch.full((n_users, k), -torch.inf, device=device)
        self.pruned = self.log_probs[:, 0].clone()
        self._keep(0, first)

    def found(self) -> Beams:
        return Beams(self.item_ids, self.log_probs, self.pruned)

    def sweep(self) -> None:
        """Continue the likeliest prefixes of each level, from the shortest to the longest."""
        for level in range(1, self.trie.n_levels):
            self._drop_hopeless(level)
            waiting = self.waiting[level]
            n_queries = min(self.num_beams, waiting.log_probs.size(1))
            if n_queries == 0:
                continue
            best, places = waiting.likeliest(n_queries)
            left = waiting.log_probs.scatter(1, places, -torch.inf)
            self.waiting[level] = waiting._replace(log_probs=left)
            longer = continue_prefixes(
                self.step,
                self.trie,
                level,
                best.queries,
                best.codes,
                best.nodes,
                best.log_probs,
                self.excluded,
            )
            self._keep(level, longer)

    def unsure(self) -> Tensor:
        """Users who still have a prefix that may lead to their top-k, int64."""
        for level in range(1, self.trie.n_levels):
            self._drop_hopeless(level)
        most = [w.log_probs.amax(1) for w in self.waiting if w.log_probs.size(1) > 0]
        if not most:
            return torch.zeros(0, dtype=torch.long, device=self.pruned.device)
        return (torch.stack(most).amax(0) > -torch.inf).nonzero().squeeze(1)

    def select(self, users: Tensor) -> None:
        """Go on with some of the present users alone."""
        self.step.select(users)
        self.excluded = None if self.excluded is None else self.excluded.select(users)
        self.waiting = [_Prefixes(*(part[users] for part in w)) for w in self.waiting]
        self.item_ids, self.log_probs = self.item_ids[users], self.log_probs[users]
        self.pruned = self.pruned[users]

    def _keep(self, level: int, longer: Continued) -> None:
        """Keep all that follows prefixes of ``level`` codes, as items or as waiting prefixes."""
        scores = longer.scores.flatten(1)
        every = torch.arange(scores.size(1), device=scores.device).expand_as(scores)
        queries, codes, nodes = longer.follow(every)
        if level + 1 == self.trie.n_levels:
            self._merge(self.trie.items(nodes).masked_fill_(scores == -torch.inf, 0), scores)
        else:
            waiting = _Prefixes(scores, queries + self.asked[level], codes, nodes)
            self.waiting[level + 1] = self.waiting[level + 1].and_also(waiting)
        self.asked[level] += longer.scores.size(1)

    def _merge(self, item_ids: Tensor, log_probs: Tensor) -> None:
        """Keep the k likeliest of the items so far and these, equal ones by item_id."""
        k = self.item_ids.size(1)
        item_ids = torch.cat([self.item_ids, item_ids], 1)
        log_probs = torch.cat([self.log_probs, log_probs], 1)
        by_id = item_ids.argsort(dim=1)
        order = log_probs.gather(1, by_id).argsort(dim=1, descending=True, stable=True)
        best = by_id.gather(1, order[:, :k])
        self.item_ids, self.log_probs = item_ids.gather(1, best), log_probs.gather(1, best)

    def _drop_hopeless(self, level: int) -> None:
        """Forget prefixes that are less likely than the k-th item, but for their bound."""
        waiting = self.waiting[level]
        if waiting.log_probs.size(1) == 0:
            return
        hopeless = waiting.log_probs < self.log_probs[:, -1:]
        dropped = waiting.log_probs.masked_fill(~hopeless, -torch.inf).amax(1)
        self.pruned = torch.maximum(self.pruned, dropped)
        left = waiting.log_probs.masked_fill(hopeless, -torch.inf)
        most = int((left > -torch.inf).sum(1).max())
        self.waiting[level], _ = waiting._replace(log_probs=left).likeliest(most)
