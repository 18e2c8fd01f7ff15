"""What a trained model makes of items it never saw, on data split by :mod:`cold_items`.

Slices: ``warm/before`` and ``warm/after`` are test users with a known target, before and after the
cold items join the catalogue; ``cold/full`` and ``cold/only`` users whose target is cold, against
the full catalogue and among cold items. ``.../bias`` raises cold items' scores, or lowers them,
until known targets of validation lose 3% of their recall; for a model whose scores it cannot raise,
``.../reserved`` keeps one place in ten for cold items. ``.../nearest`` are nearest neighbours on
what the tokenizer knows of items, instead of the model, and ``.../nearest_reserved`` both.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_store.experiments.run.fingerprint import NEW_ITEM_RULES
from recbole_store.experiments.run.new_item_bias import (
    can_be_raised,
    choose_bias,
    gain_of_bias,
    raised,
)
from recbole_store.experiments.run.ranked_lists import ListRecorder, RankedLists
from recbole_store.generator.beam_search import Beams
from recbole_store.generator.reserved_places import Pairs, with_reserved_places
from recbole_store.tokenizer.quantizers.base import NOTHING

RESERVED = 0.1  # TIGER's share of places for unseen items
NEAREST_TO = 10  # items at a history's end whose mean the nearest neighbours are near to


def test_cold(trainer, valid_data, test_data, config) -> dict:
    """Evaluate the best epoch on warm and cold targets, by RecBole's evaluator.

    Afterwards the cold items have joined the model's catalogue.

    Returns:
        ``n_items`` and ``n_users`` (cold ones), ``rules`` (the number of what became of new
        items), ``bias`` (None for a model without one) and ``metrics``: slice -> RecBole's metrics,
        none for a slice without users.
    """
    model, dataset = trainer.model, test_data._dataset
    cold = dataset.cold_items
    is_cold = torch.zeros(dataset.item_num, dtype=torch.bool)
    is_cold[cold] = True
    warm = (~is_cold).nonzero().squeeze(1)[1:]
    of_cold = is_cold[dataset.inter_feat[dataset.iid_field]]
    is_best = False  # whether the model has the best epoch's weights yet

    def measure(wanted: Tensor, excluded: Tensor | None = None, data=test_data) -> dict:
        nonlocal is_best
        if not wanted.any():
            return {}
        part = copy.copy(data._dataset)
        part.inter_feat, part.also_excluded = part.inter_feat[wanted], excluded
        part.seen_items = part.earlier_targets = None  # which know other rows
        loader = type(data)(config, part, data._sampler, shuffle=False)
        found = dict(trainer.evaluate(loader, load_best_model=not is_best))
        is_best = True
        return found

    def lists_of_validation(excluded: Tensor) -> RankedLists:  # which has warm targets alone
        every = torch.ones(len(valid_data._dataset.inter_feat), dtype=torch.bool)
        with ListRecorder(trainer, config) as recorder:
            measure(every, excluded, data=valid_data)
        return recorder.table()

    metrics = {"warm/before": measure(~of_cold, cold)}
    if hasattr(model, "admit_new_items"):
        model.admit_new_items()
    metrics["warm/after"] = measure(~of_cold)
    metrics["cold/full"] = measure(of_cold)
    metrics["cold/only"] = measure(of_cold, warm)
    bias = None
    if can_be_raised(model):
        known, new = lists_of_validation(cold), lists_of_validation(warm)
        k = min(10, max(config["topk"]))
        trainer.model = stand_in = raised(model, cold)
        try:
            bias = stand_in.new_item_bias = choose_bias(known, new, k, gain_of_bias(model))
            metrics["warm/after/bias"] = measure(~of_cold)
            metrics["cold/full/bias"] = measure(of_cold)
        finally:
            stand_in.new_item_bias, trainer.model = 0.0, model
    elif hasattr(model, "reserved"):
        try:
            model.reserved = RESERVED
            metrics["warm/after/reserved"] = measure(~of_cold)
            metrics["cold/full/reserved"] = measure(of_cold)
        finally:
            model.reserved = 0.0
    if hasattr(model, "item_tokenizer") and model.item_tokenizer.reads != NOTHING:
        nearest = NearestNeighbours(model, text_vectors(model), max(config["topk"]), warm)
        try:
            trainer.model = nearest
            metrics["cold/full/nearest"] = measure(of_cold)
            metrics["cold/only/nearest"] = measure(of_cold, warm)
            metrics["warm/after/nearest"] = measure(~of_cold)
            nearest.reserved = RESERVED
            metrics["cold/full/nearest_reserved"] = measure(of_cold)
            metrics["warm/after/nearest_reserved"] = measure(~of_cold)
        finally:
            trainer.model = model
    return {
        "n_items": len(cold),
        "n_users": int(of_cold.sum()),
        "rules": NEW_ITEM_RULES,
        "bias": bias,
        "metrics": metrics,
    }


@torch.no_grad()
def text_vectors(model) -> Tensor:
    """What a model's tokenizer knows of each item, [n_items, D], less the warm items' mean."""
    tokenizer = model.item_tokenizer
    found = next(iter(tokenizer.representations().values())).flatten(1).float()
    centred = found - found[tokenizer.is_known()].mean(0)
    centred[0] = 0.0
    return centred


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

    def recommend(self, interaction, excluded: Pairs | None = None) -> Beams:
        scores = self.full_sort_predict(interaction)

        def search(excluded: Pairs | None) -> Beams:
            return self._best(scores.clone(), excluded)

        if not self.reserved:
            return search(excluded)
        return with_reserved_places(search, len(scores), self.warm, excluded, self.reserved)

    def _best(self, scores: Tensor, excluded: Pairs | None) -> Beams:
        scores[:, 0] = -torch.inf
        if excluded is not None:
            scores[excluded] = -torch.inf
        best, items = scores.topk(min(self.length, scores.size(1)))
        return Beams(
            items.masked_fill(best == -torch.inf, 0), best, torch.full_like(best[:, 0], torch.inf)
        )
