"""STORE's heads over a catalogue beyond ``full_softmax_limit``: none looks at every item in a step.

In training each target is told apart from items drawn; in ranking a short list stands for the whole
catalogue, and what is on it or was found by the beams is scored as a small catalogue is.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_store.errors import SettingsError
from recbole_store.generator.company import Company, summed_history
from recbole_store.generator.item_head import ItemHead
from recbole_store.generator.item_vectors import ItemVectors
from recbole_store.generator.short_list import BlockIndex, ListedScores, entries
from recbole_store.llm.precision import use_bf16
from recbole_store.tokenizer.sampled_softmax import ItemSampler, Lot
from recbole_store.tokenizer.text_tower import TextTower

# Items up to which each has an own vector to itself, if `full_softmax_limit` is not higher: a table
# of so many rows of 128 is as large as the default LLM's layers, and its update costs as much.
OWN_ROWS = 2**16
_BLOCK = 2**16  # items at a time


def shared_rows(n_items: int, limit: int, collaborative_start: float | None) -> int | None:
    """Rows of the table that own vectors are hashed into; None where each item has its own.

    Args:
        n_items: without padding.
        limit: `full_softmax_limit`.

    Raises:
        SettingsError: they are hashed, but were to start from what single items are.
    """
    n_rows = max(limit, OWN_ROWS)
    if n_items <= n_rows:
        return None
    if collaborative_start:
        raise SettingsError(
            f"`collaborative_start` is {collaborative_start}, but {n_items} items share {n_rows} "
            f"own vectors: leave it out, or set `full_softmax_limit` to {n_items}, so that each "
            "item has its own."
        )
    return n_rows


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
        if self.likeness_weight and self.likeness_by == STATES:
            found["points"] = F.normalize(self.points[item_ids], dim=-1)
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
        if self.likeness_weight:
            vectors = self.points[item_seq]
            by_tower = self.likeness_by == TOWER
            history = self.text_head.items(vectors) if by_tower else F.normalize(vectors, dim=-1)
            alike = self.likeness_weight * summed_history(history, item_seq, lengths)
            if by_tower:
                found["tower"] = found["tower"] + alike
            else:
                found["points"] = alike
        return found

    def company_of(self, item_seq: Tensor, lengths: Tensor):
        """What items gain that were together with the history's, SciPy's CSR; None: nothing."""
        if self.company is None:
            return None
        return (self.company.of_few(item_seq, lengths) * self.together_weight).tocsr()


class LargeCatalogue(nn.Module):
    """Losses and rankings of the heads over a large catalogue.

    Args:
        counts: how often each item is a training target, [n_items].
    """

    def __init__(self, counts: Tensor):
        super().__init__()
        self.sampler = ItemSampler(counts)
        self._index: BlockIndex | None = None
        self._pieces: tuple = ()  # that its rows are made of
        self._means: dict[str, Tensor] | None = None

    def forget(self) -> None:
        """Weights or items are others from here on."""
        self._index = self._means = None

    def losses(
        self,
        heads: Heads,
        states: Tensor,
        items: Tensor,
        is_target: Tensor,
        is_known: Tensor,
        is_filtered: bool,
        lot: Lot | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Cross-entropy of the item head and of the text head, if there is one, over all targets.

        Args:
            states: before each of n targets, [n, H].
            items, is_target, is_known, is_filtered, lot: of :meth:`ItemSampler.draw`.
        """
        drawn = self.sampler.draw(items, is_target, is_known, is_filtered, lot)
        vectors, points = heads.item_vectors, heads.points
        query = heads.item_head.queries(states)
        of_drawn = query @ vectors(points, drawn.item_ids).T
        of_targets = (query * vectors(points, drawn.targets)).sum(-1)
        by_id = drawn.cross_entropy(of_targets, of_drawn)
        if heads.text_head is None:
            return by_id, None
        tower = heads.text_head
        query = tower.queries(tower.pooled(points, items[:, :-1])[is_target], states)
        of_drawn = tower.logits(query, tower.items(points[drawn.item_ids]))
        of_targets = tower.logits_of_pairs(query, tower.items(points[drawn.targets]))
        return by_id, drawn.cross_entropy(of_targets, of_drawn)

    def scores(
        self, heads: Heads, states: Tensor, item_seq: Tensor, lengths: Tensor, is_known: Tensor
    ) -> ListedScores:
        """The heads' scores behind histories, of :meth:`Heads.queries`."""
        named = heads.queries(states, item_seq, lengths)
        queries = list(named.values())
        if heads.is_raised is not None:
            queries.append(torch.full_like(queries[0][:, :1], heads.bias))
        queries = torch.cat(queries, dim=1)
        pieces = (*named, heads.is_raised is None)
        if self._index is None or self._pieces != pieces:
            self._pieces = pieces
            # What is listed is scored in fp32, whatever it was found in.
            dtype = torch.bfloat16 if use_bf16("auto", queries.device) else torch.float32
            self._index = BlockIndex(is_known.nonzero().squeeze(1), heads.rows, dtype)
        company = heads.company_of(item_seq, lengths)
        return ListedScores(self._index, heads.rows, queries, company)

    def gains(
        self,
        heads: Heads,
        states: Tensor,
        item_seq: Tensor,
        lengths: Tensor,
        is_known: Tensor,
        items: Tensor,
    ) -> dict[str, Tensor]:
        """What each row's item [B] gains over the mean item, part by part, [B] each."""
        if self._means is None:
            known = is_known.nonzero().squeeze(1)
            sums: dict[str, Tensor] = {}
            for part in known.split(_BLOCK):
                for name, piece in heads.pieces(part).items():
                    sums[name] = sums.get(name, 0.0) + piece.double().sum(0)
            self._means = {name: (total / len(known)).float() for name, total in sums.items()}
        above = {name: p - self._means[name] for name, p in heads.pieces(items).items()}
        queries = heads.queries(states, item_seq, lengths)
        pairs = {"text": "head", "id": "head"}  # the others have queries of their own names
        found = {
            name: (piece * queries[pairs.get(name, name)]).sum(-1) for name, piece in above.items()
        }
        for name in ("tower", "points"):
            if name in found:
                found["text"] = found["text"] + found.pop(name)
        company = heads.company_of(item_seq, lengths)
        if company is not None:
            mean = torch.from_numpy(company.sum(1).A1 / int(is_known.sum()))
            of_items = entries(company, items[:, None]).squeeze(1)
            found["company"] = of_items - mean.to(of_items)
        return found
