"""What of STORE scores whole items: the ID head, the text head, and what items gain in ranking.

All of it is products of a history's vectors and items' vectors, but for company, which few items
have. So one matrix of items serves a catalogue of any size.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_store.generator.company import Company, summed_history
from recbole_store.generator.item_head import ItemHead
from recbole_store.generator.item_vectors import ItemVectors
from recbole_store.generator.short_list import entries
from recbole_store.tokenizer.text_tower import TextTower

_BLOCK = 2**16  # items at a time

# What texts are alike by: the text head's vectors, or the LLM's states that it starts from.
TOWER, STATES = "tower", "states"


class Heads(NamedTuple):
    """What of a STORE scores items, as it is at the time; H is the LLM's width, D the vectors'."""

    points: Tensor  # [n_items, P]
    item_vectors: ItemVectors
    item_head: ItemHead
    text_head: TextTower | None
    company: Company | None
    text_share: float  # 0 without a text head
    last_item_weight: float
    likeness_weight: float
    likeness_by: str  # TOWER or STATES
    together_weight: float
    is_raised: Tensor | None  # bool [n_items], items that gain ``bias``
    bias: float

    @property
    def uses_states(self) -> bool:
        """Whether items gain whose texts are like the history's by the LLM's states.

        New ones do, whatever others are alike by: the tower learnt from known items alone what
        follows what. On the test of a draw of Beauty's cold items that no result has, a text tower
        with STORE's gains found .058 of them before and .092 since, at a loss of known targets of
        1.2% and 2.7%; raised to a loss of 3%, .091 and .098, at an NDCG@10 of .056 and .074. Twice
        the weight found no more, and without a bias cost 4.6%; the states in the tower's place
        found .090.
        """
        by_states = self.likeness_by == STATES or self.is_raised is not None
        return self.likeness_weight > 0 and by_states

    def pieces(self, item_ids: Tensor) -> dict[str, Tensor]:
        """Vectors of items [n] that their scores are products with, [n, D] each."""
        found = {
            "text": self.item_vectors.of_text(self.points[item_ids]),
            "id": self.item_vectors.own_vectors(item_ids),
        }
        if self.last_item_weight:
            found["last item"] = F.normalize(found["text"] + found["id"], dim=-1)
        if self.text_head is not None:
            found["tower"] = self.text_head.items(self.points[item_ids])
        if self.uses_states:
            found["points"] = F.normalize(self.points[item_ids], dim=-1)
            if self.likeness_by == TOWER:  # then new items alone
                found["points"] = found["points"] * self.is_raised[item_ids, None]
        return found

    def rows(self, item_ids: Tensor) -> Tensor:
        """All that is known of items [n] behind each other, [n, W]."""
        found = self.pieces(item_ids)
        rows = [found.pop("text") + found.pop("id"), *found.values()]
        if self.is_raised is not None:
            rows.append(self.is_raised[item_ids, None].float())
        return torch.cat(rows, dim=1)

    def queries(self, states: Tensor, item_seq: Tensor, lengths: Tensor) -> dict[str, Tensor]:
        """What histories multiply each of the :meth:`pieces` with, [B, D] each.

        Args:
            states: before the next item's first code, [B, H].
            item_seq: item_ids [B, T], right-padded by 0.
        """
        by_id = 1 - self.text_share
        found = {"head": by_id * self.item_head.queries(states)}
        end = (lengths - 1).clamp(min=0)
        if self.last_item_weight:
            last = item_seq.gather(1, end[:, None]).squeeze(1)
            unit = self.item_vectors.unit(self.points, last)
            found["last item"] = by_id * self.last_item_weight * unit
        if self.text_head is not None:
            pooled = self.text_head.pooled(self.points, item_seq)
            query = self.text_head.queries(pooled[torch.arange(len(end)), end], states)
            found["tower"] = self.text_share * self.text_head.log_scale.exp() * query.float()
        if self.likeness_weight and self.likeness_by == TOWER:
            history = self.text_head.items(self.points[item_seq])
            alike = summed_history(history, item_seq, lengths)
            found["tower"] = found["tower"] + self.likeness_weight * alike
        if self.uses_states:
            history = F.normalize(self.points[item_seq], dim=-1)
            found["points"] = self.likeness_weight * summed_history(history, item_seq, lengths)
        return found

    def company_of(self, item_seq: Tensor, lengths: Tensor):
        """What items gain that were together with the history's, SciPy's CSR; None: nothing."""
        if self.company is None:
            return None
        return (self.company.of_few(item_seq, lengths) * self.together_weight).tocsr()

    def means(self, is_known: Tensor) -> dict[str, Tensor]:
        """The mean of each of the :meth:`pieces` over the catalogue, [D] each.

        Args:
            is_known: bool [n_items], what is in the catalogue.
        """
        known = is_known.nonzero().squeeze(1)
        sums: dict[str, Tensor] = {}
        for part in known.split(_BLOCK):
            for name, piece in self.pieces(part).items():
                sums[name] = sums.get(name, 0.0) + piece.double().sum(0)
        return {name: (total / len(known)).float() for name, total in sums.items()}


class HistoryEnds(NamedTuple):
    """What the heads are told of B users."""

    states: Tensor  # the LLM's before the next item's first code, [B, H]
    item_seq: Tensor  # item_ids [B, T], right-padded by 0
    lengths: Tensor  # [B]


class Targets(NamedTuple):
    """What the heads learn: n targets of B windows, among the items of the catalogue."""

    states: Tensor  # the LLM's before each target's first code, [n, H]
    items: Tensor  # windows of item_ids, [B, T + 1], right-padded by 0
    is_target: Tensor  # bool [B, T]: item t + 1 is a target
    is_known: Tensor  # bool [n_items], what is a candidate at all
    is_filtered: bool  # whether items of a target's history are none of its candidates


class AllItems(nn.Module):
    """The heads over a whole catalogue, for one of any size."""

    def __init__(self):
        super().__init__()
        self._pieces: tuple = ()  # that items' rows are made of
        self._means: dict[str, Tensor] | None = None

    def forget(self) -> None:
        """Weights or items are others from here on."""
        self._means = None

    def _named_queries(self, heads: Heads, histories: HistoryEnds) -> dict[str, Tensor]:
        """:meth:`Heads.queries`; whatever was kept of items goes if other weights are set now."""
        named = heads.queries(*histories)
        pieces = (*named, heads.is_raised is None)
        if self._pieces != pieces:
            self.forget()
            self._pieces = pieces
        return named

    def _queries(self, heads: Heads, histories: HistoryEnds) -> Tensor:
        """What histories multiply the :meth:`Heads.rows` with, [B, W]."""
        queries = [*self._named_queries(heads, histories).values()]
        if heads.is_raised is not None:
            queries.append(torch.full_like(queries[0][:, :1], heads.bias))
        return torch.cat(queries, dim=1)

    def gains(
        self, heads: Heads, histories: HistoryEnds, is_known: Tensor, items: Tensor
    ) -> dict[str, Tensor]:
        """What each row's item [B] gains over the mean item, part by part, [B] each.

        Args:
            is_known: bool [n_items], what is in the catalogue.
        """
        queries = self._named_queries(heads, histories)
        if self._means is None:
            self._means = heads.means(is_known)
        above = {name: p - self._means[name] for name, p in heads.pieces(items).items()}
        pairs = {"text": "head", "id": "head"}  # the others have queries of their own names
        found = {
            name: (piece * queries[pairs.get(name, name)]).sum(-1) for name, piece in above.items()
        }
        for name in ("tower", "points"):
            if name in found:
                found["text"] = found["text"] + found.pop(name)
        company = heads.company_of(histories.item_seq, histories.lengths)
        if company is not None:
            mean = torch.from_numpy(company.sum(1).A1 / int(is_known.sum()))
            of_items = entries(company, items[:, None]).squeeze(1)
            found["company"] = of_items - mean.to(of_items)
        return found
