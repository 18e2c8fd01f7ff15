"""An evaluation that several processes share, batch by batch, of models that score every item.

Whole batches are shared out: a product of other rows at once may end in other last digits, and
items that are nearly equal in other ranks. What is collected is told once all batches are done.
"""

from __future__ import annotations

import torch
from recbole.evaluator.collector import Collector, DataStruct

import recbole_store.processes.ranks as ranks
from recbole_store.plugin.plugin_trainer import PluginTrainer

NOT_OURS = torch.empty(0)  # in the place of the scores of another process's batch


class SharedCollector(Collector):
    """RecBole's collector, of whose batches each process has its :func:`ranks.mine`."""

    def __init__(self, config):
        super().__init__(config)
        self._parts: list[dict] = []  # what was collected of each of the process's batches

    def eval_batch_collect(self, scores_tensor, interaction, positive_u, positive_i):
        if scores_tensor is NOT_OURS:
            return
        whole, self.data_struct = self.data_struct, DataStruct()
        super().eval_batch_collect(scores_tensor, interaction, positive_u, positive_i)
        own, self.data_struct = self.data_struct, whole
        self._parts.append({name: part.cpu() for name, part in own._data_dict.items()})

    def model_collect(self, model):
        """Called by RecBole once all batches are ranked: all processes get what all collected."""
        parts, self._parts = ranks.all_in_turn(self._parts), []
        for part in parts:
            for name, values in part.items():
                self.data_struct.update_tensor(name, values)
        super().model_collect(model)


class SharedRankingTrainer(PluginTrainer):
    """A trainer whose evaluation's batches are shared out among a run's processes.

    All processes go through all batches, whose making may draw random numbers.
    """

    def __init__(self, config, model):
        super().__init__(config, model)
        self._n_batches = 0  # of the evaluation that goes on
        if ranks.world_size() > 1:
            self.eval_collector = SharedCollector(config)

    def evaluate(self, *args, **kwargs):
        self._n_batches = 0
        return super().evaluate(*args, **kwargs)

    def _full_sort_batch_eval(self, batched_data):
        return self._if_mine(super()._full_sort_batch_eval, batched_data)

    def _neg_sample_batch_eval(self, batched_data):
        return self._if_mine(super()._neg_sample_batch_eval, batched_data)

    def _if_mine(self, score_batch, batched_data):
        place, self._n_batches = self._n_batches, self._n_batches + 1
        if place % ranks.world_size() == ranks.rank():
            return score_batch(batched_data)
        interaction, _, positive_u, positive_i = batched_data
        return interaction, NOT_OURS, positive_u, positive_i
