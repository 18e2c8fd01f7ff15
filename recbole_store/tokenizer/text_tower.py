"""Vectors of texts -> unit vectors in which the next item is near what a history says.

A frozen language model's mean states know what an item is, not what goes with what. Two small
networks learn that from training histories, without an identifier of any item: so whatever has a
text has a vector. (Recency-weighted histories against the next item's text, contrasted with all
other items, is what FADE and its kin do with a whole language model.)
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_store.tokenizer.sampled_softmax import ItemSampler, Lot

RECENT = 10  # items of a history that are pooled
DECAY = 0.6  # weight of each, of that of the next one; .5 and .85 were no better
CURVE = 0.3  # share of the network that is not linear in an item's vector, at the start
HIDDEN = 2  # width of the hidden layers, in widths of the tower
SCALE = 20.0  # of cosines, at the start


class Windows(NamedTuple):
    """Training histories with their targets."""

    items: Tensor  # item_ids int64 [W, T + 1], right-padded by 0
    wanted: Tensor  # bool [W, T]: item t + 1 is a target

    def of_rows(self, rows: Tensor) -> Windows:
        """Some of the windows, as long as the longest of them."""
        wanted = self.wanted[rows]
        length = int(wanted.any(0).nonzero().max()) + 1 if wanted.any() else 1
        return Windows(self.items[rows, : length + 1], wanted[:, :length])


class TextTower(nn.Module):
    """``f(i) = unit(A x + .3 MLP(x))`` of items, ``q = unit(v + .5 MLP(v) + state)`` of histories.

    ``v`` is the mean of the last items' ``B x``, later ones weighing more.

    Shapes: N items with padding, F features of a text, D width, B histories of T items.

    Args:
        n_features: F.
        width: D.
        dropout: of features.
        state_size: of another network's states, which a query may take in; None: there is none.
    """

    def __init__(self, n_features: int, width: int, dropout: float, state_size: int | None = None):
        super().__init__()
        self.item = nn.Linear(n_features, width, bias=False)
        self.history = nn.Linear(n_features, width, bias=False)
        nn.init.normal_(self.item.weight, std=n_features**-0.5)
        self.history.weight.data.copy_(self.item.weight)
        self.item_curve = _two_layers(n_features, HIDDEN * width, width)
        self.query_curve = _two_layers(width, HIDDEN * width, width)
        self.norm = nn.LayerNorm(width)
        self.log_scale = nn.Parameter(torch.tensor(math.log(SCALE)))
        self.dropout = nn.Dropout(dropout)
        self.of_state: nn.Linear | None = None
        if state_size is not None:
            self.of_state = nn.Linear(state_size, width, bias=False)
            nn.init.zeros_(self.of_state.weight)  # begin as the tower without
            self.state_norm = nn.LayerNorm(state_size)

    def items(self, features: Tensor) -> Tensor:
        """Features [N, F] -> unit vectors [N, D]."""
        features = self.dropout(features)
        return F.normalize(self.item(features) + CURVE * self.item_curve(features), dim=-1)

    def pooled(self, features: Tensor, item_seq: Tensor) -> Tensor:
        """What the items up to each place say, [B, T, D].

        Args:
            features: of all items, [N, F].
            item_seq: item_ids [B, T], padded by 0.
        """
        n_items = item_seq.size(1)
        place = torch.arange(n_items, device=item_seq.device)
        age = place[:, None] - place[None]
        weights = torch.where((age >= 0) & (age < RECENT), DECAY ** age.clamp(min=0).float(), 0.0)
        weights = weights * (item_seq > 0)[:, None]  # [B, T, T]
        weights = weights / weights.sum(-1, keepdim=True).clamp(min=1e-6)
        return weights @ self.history(self.dropout(features[item_seq]))

    def queries(self, pooled: Tensor, states: Tensor | None = None) -> Tensor:
        """Unit vectors [..., D] of pooled histories [..., D], with another network's states."""
        query = pooled + 0.5 * self.query_curve(self.norm(pooled))
        if states is not None:
            query = query + self.of_state(self.state_norm(states))
        return F.normalize(query, dim=-1)

    def logits(self, queries: Tensor, items: Tensor) -> Tensor:
        """[..., N], fp32, of queries [..., D] and items [N, D]."""
        return (queries @ items.T).float() * self.log_scale.exp()

    def logits_of_pairs(self, queries: Tensor, items: Tensor) -> Tensor:
        """[n], fp32, of each query [n, D] and its item [n, D]."""
        return (queries * items).sum(-1).float() * self.log_scale.exp()


def _two_layers(n_in: int, n_hidden: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_in, n_hidden), nn.GELU(), nn.Linear(n_hidden, n_out))


def tower_loss(
    tower: TextTower,
    features: Tensor,
    items: Tensor,
    wanted: Tensor,
    left_out: Tensor,
    bf16: bool,
    sampler: ItemSampler | None = None,
    lot: Lot | None = None,
) -> Tensor:
    """Cross-entropy of each wanted target among all items, those of its history left out.

    Args:
        features: of all items, [N, F].
        items: windows of item_ids, [B, T + 1], right-padded by 0.
        wanted: bool [B, T]: item t + 1 is a target.
        left_out: bool [N], what is no candidate: padding and cold items.
        bf16: whether products are in bfloat16.
        sampler: draws the items among which each target is told apart; None: all items are.
        lot: see :meth:`ItemSampler.draw`.
    """
    if sampler is not None:
        drawn = sampler.draw(items, wanted, ~left_out, is_filtered=True, lot=lot)
        with torch.autocast(items.device.type, dtype=torch.bfloat16, enabled=bf16):
            queries = tower.queries(tower.pooled(features, items[:, :-1])[wanted])
            logits = tower.logits(queries, tower.items(features[drawn.item_ids]))
            of_targets = tower.logits_of_pairs(queries, tower.items(features[drawn.targets]))
        return drawn.cross_entropy(of_targets, logits) / len(drawn.targets)
    with torch.autocast(items.device.type, dtype=torch.bfloat16, enabled=bf16):
        queries = tower.queries(tower.pooled(features, items[:, :-1])[wanted])
        logits = tower.logits(queries, tower.items(features))
    logits = logits.masked_fill(left_out, -torch.inf)
    return F.cross_entropy(without_seen(logits, items, wanted), items[:, 1:][wanted])


def without_seen(logits: Tensor, items: Tensor, wanted: Tensor) -> Tensor:
    """Logits of all items for each target of windows, -inf for padding and what stands before it.

    So a model does not learn how to rank what ``filter_history`` never ranks. The target keeps its
    logit where the user had it before; items that the window's length cut off are not known here.

    Args:
        logits: [n, N].
        items: item_ids [B, T + 1], the rows' targets included, right-padded by 0.
        wanted: bool [B, T], n of them True: item t + 1 is a target.
    """
    rows, places = wanted.nonzero(as_tuple=True)
    history = items[rows, :-1]
    is_later = torch.arange(history.size(1), device=items.device) > places[:, None]
    is_target_again = history == items[rows, places + 1][:, None]
    seen = history.masked_fill(is_later | is_target_again, 0)
    return logits.scatter(1, F.pad(seen, (1, 0)), -torch.inf)
