"""What a trained model makes of items it never saw, on data split by :mod:`cold_items`.

Slices: ``warm/before`` and ``warm/after`` are test users with a known target, before and after the
cold items join the catalogue; ``cold/full`` and ``cold/only`` users whose target is cold, against
the full catalogue and among cold items. ``.../reserved`` keeps one place in ten for cold items;
``.../nearest`` are nearest neighbours on what the tokenizer reads of texts, the dense tokens of
STORE, instead of the model, and ``.../nearest_reserved`` both.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_store.generator.beam_search import Beams
from recbole_store.generator.reserved_places import Pairs, with_reserved_places

RESERVED = 0.1  # TIGER's share of places for unseen items
NEAREST_TO = 10  # items at a history's end whose mean the nearest neighbours are near to


def test_cold(trainer, test_data, config) -> dict:
    """Evaluate the best epoch on warm and cold targets, by RecBole's evaluator.

    Afterwards the cold items have joined the model's catalogue.

    Returns:
        ``n_items`` and ``n_users`` (cold ones) and ``metrics``: slice -> RecBole's metrics, none
        for a slice without users.
    """
    model, dataset = trainer.model, test_data._dataset
    cold = dataset.cold_items
    is_cold = torch.zeros(dataset.item_num, dtype=torch.bool)
    is_cold[cold] = True
    warm = (~is_cold).nonzero().squeeze(1)[1:]
    of_cold = is_cold[dataset.inter_feat[dataset.iid_field]]

    def loader(wanted: Tensor, hidden: Tensor | None = None):
        part = copy.copy(dataset)
        part.inter_feat, part.also_hidden = dataset.inter_feat[wanted], hidden
        part.seen_items = part.earlier_targets = None  # which know other rows
        return type(test_data)(config, part, test_data._sampler, shuffle=False)

    def measure(wanted: Tensor, hidden: Tensor | None = None, best: bool = False) -> dict:
        if not wanted.any():
            return {}
        return dict(trainer.evaluate(loader(wanted, hidden), load_best_model=best))

    metrics = {"warm/before": measure(~of_cold, cold, best=True)}
    if hasattr(model, "join"):
        model.join()
    metrics["warm/after"] = measure(~of_cold)
    metrics["cold/full"] = measure(of_cold)
    metrics["cold/only"] = measure(of_cold, warm)
    if hasattr(model, "reserved"):
        model.reserved = RESERVED
        metrics["warm/after/reserved"] = measure(~of_cold)
        metrics["cold/full/reserved"] = measure(of_cold)
        model.reserved = 0.0
    if hasattr(model, "item_tokenizer"):
        nearest = NearestNeighbours(model, text_vectors(model), max(config["topk"]), warm)
        trainer.model = nearest
        metrics["cold/full/nearest"] = measure(of_cold)
        metrics["cold/only/nearest"] = measure(of_cold, warm)
        metrics["warm/after/nearest"] = measure(~of_cold)
        nearest.reserved = RESERVED
        metrics["cold/full/nearest_reserved"] = measure(of_cold)
        metrics["warm/after/nearest_reserved"] = measure(~of_cold)
        trainer.model = model
    return {"n_items": len(cold), "n_users": int(of_cold.sum()), "metrics": metrics}


@torch.no_grad()
def text_vectors(model) -> Tensor:
    """What a SemanticIdModel's tokenizer reads of each item, [n_items, D], less the warm mean."""
    tokenizer = model.item_tokenizer
    found = tokenizer.quantizer_inputs(tokenizer.texts[1:]).flatten(1).float()
    is_warm = torch.ones(len(found), dtype=torch.bool, device=found.device)
    is_warm[model.cold_items - 1] = False
    return F.pad(found - found[is_warm].mean(0), (0, 0, 1, 0))


class NearestNeighbours(nn.Module):
    """Recommends the items whose vectors are nearest to those of a history's end.

    Args:
        model: names the fields of a history.
        vectors: of the items, [n_items, D].
        length: items of a ranked list.
        warm: item_ids of all items but cold ones and padding.

    Attributes:
        reserved: share of the places that is kept for cold items.
    """

    reserved = 0.0

    def __init__(self, model, vectors: Tensor, length: int, warm: Tensor):
        super().__init__()
        self.warm = warm.to(vectors.device)
        self.vectors = F.normalize(vectors, dim=-1)
        self.seq_field, self.length_field = model.ITEM_SEQ, model.ITEM_SEQ_LEN
        self.length = length

    def full_sort_predict(self, interaction) -> Tensor:
        """Cosine of each item to the mean of the history's last items, [B, n_items]."""
        item_seq, lengths = interaction[self.seq_field], interaction[self.length_field]
        place = torch.arange(item_seq.size(1), device=item_seq.device)
        is_late = (place < lengths[:, None]) & (place >= lengths[:, None] - NEAREST_TO)
        mean = (self.vectors[item_seq] * is_late[..., None]).sum(1)
        return F.normalize(mean, dim=-1) @ self.vectors.T

    def recommend(self, interaction, hidden: Pairs | None = None) -> Beams:
        scores = self.full_sort_predict(interaction)

        def find(hidden: Pairs | None) -> Beams:
            return self._best(scores.clone(), hidden)

        if not self.reserved:
            return find(hidden)
        return with_reserved_places(find, len(scores), self.warm, hidden, self.reserved)

    def _best(self, scores: Tensor, hidden: Pairs | None) -> Beams:
        scores[:, 0] = -torch.inf
        if hidden is not None:
            scores[hidden] = -torch.inf
        best, items = scores.topk(min(self.length, scores.size(1)))
        return Beams(
            items.masked_fill(best == -torch.inf, 0), best, torch.full_like(best[:, 0], torch.inf)
        )
