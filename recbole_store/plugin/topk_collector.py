"""RecBole's collector for models that rank by themselves: no matrix of users x items."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from recbole.evaluator.collector import Collector
from recbole.evaluator.register import Register
from torch import Tensor

from recbole_store.generator.beam_search import Beams

# What metrics may ask for that a top-k list does not hold: ranks or scores of all items.
_NEEDS_ALL_SCORES = ("rec.meanrank", "rec.score", "data.label")

# Numbers in one matrix of users x items. RecBole's ranks of all items (GAUC) take some 70 bytes for
# each: sorted scores, their indices, and counts of 8 bytes. Together half a GB.
MAX_SCORES = 2**23


def is_ranked_by_topk(config) -> bool:
    """Whether the metrics of a full ranking ask for nothing but the first k items."""
    register = Register(config)
    mode = config["eval_args"]["mode"]
    modes = mode.values() if isinstance(mode, dict) else [mode]
    return all(m == "full" for m in modes) and not any(map(register.need, _NEEDS_ALL_SCORES))


def users_per_batch(config, n_items: int) -> int:
    """``eval_batch_size``, or less where a dense matrix of scores would not fit otherwise."""
    if is_ranked_by_topk(config):
        return config["eval_batch_size"]
    return max(min(config["eval_batch_size"], MAX_SCORES // n_items), 1)


def with_empty_places(values: Tensor, k: int) -> Tensor:
    """Rows of a catalogue of less than k items, [B, n], with zeros up to k."""
    return F.pad(values, (0, max(k - values.size(1), 0)))


class TopKCollector(Collector):
    """Takes a batch's :class:`Beams` where RecBole's takes a dense matrix of scores."""

    def eval_batch_collect(self, scores_tensor, interaction, positive_u, positive_i):
        if not isinstance(scores_tensor, Beams):
            super().eval_batch_collect(scores_tensor, interaction, positive_u, positive_i)
            return
        k = max(self.topk)
        items = with_empty_places(scores_tensor.item_ids[:, :k], k)
        if self.register.need("rec.items"):
            self.data_struct.update_tensor("rec.items", items)
        if self.register.need("rec.topk"):
            users = positive_u.to(items.device)
            is_hit = items[users] == positive_i.to(items.device)[:, None]
            hits = torch.zeros_like(items).index_add_(0, users, is_hit.long())
            n_positives = torch.bincount(users, minlength=len(items))[:, None]
            self.data_struct.update_tensor("rec.topk", torch.cat([hits, n_positives], 1).int())
