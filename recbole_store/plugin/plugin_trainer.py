"""What the trainers of this package have in common: batches, weights, several processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import torch
from recbole.trainer import Trainer

import recbole_store.processes.ranks as ranks
from recbole_store.llm.length_batches import POOL
from recbole_store.plugin.checkpoints import load_weights, save_weights
from recbole_store.plugin.item_dropout import ItemDropout
from recbole_store.plugin.loaders import SimilarLengths
from recbole_store.processes.status import SILENT, Status


class PluginTrainer(Trainer):
    """RecBole's trainer, on batches of rows of similar length, with weights that are no pickle.

    RecBole's own checkpoint is written as well, for RecBole's tools; it is read only where its
    file is named.

    Attributes:
        weights_file: where the best epoch's weights are, beside RecBole's checkpoint.
        reads_ahead: batches that are read at once.
        status: says how far its own parts are, beside RecBole's epochs.
    """

    reads_ahead = POOL
    status: Status = SILENT

    def __init__(self, config, model):
        ranks.check_started()
        super().__init__(config, model)
        # RecBole's name tells the second; two runs may well begin in one.
        unique = Path(self.saved_model_file)
        self.saved_model_file = str(unique.with_stem(f"{unique.stem}-{uuid4().hex[:8]}"))
        self.weights_file = Path(self.saved_model_file).with_suffix(".safetensors")

    def training_loss(self, interaction):
        """What a batch's step goes down.

        Of several processes each goes through its share of the rows; what is returned, for RecBole
        to log, is the whole loss without a gradient, since the gradients are summed already.
        """
        if ranks.world_size() == 1:
            return self.batch_loss(interaction)
        with ranks.own_random():
            own: dict[str, float] = {}
            for task, loss in self.loss_shares(interaction):
                loss.backward()
                own[task] = own.get(task, 0.0) + loss.item()
        ranks.sum_gradients([w for w in self.model.parameters() if w.requires_grad])
        tasks = ranks.gather(own)
        whole = [sum(of_rank.get(task, 0.0) for of_rank in tasks) for task in tasks[0]]
        losses = tuple(torch.tensor(loss, requires_grad=True) for loss in whole)
        return losses if len(losses) > 1 else losses[0]

    def batch_loss(self, interaction):
        """The loss of a batch, where one process goes through all of it."""
        return self.model.calculate_loss(interaction)

    def loss_shares(self, interaction) -> Iterator[tuple[str, torch.Tensor]]:
        """This process's share of a batch's loss; those of all processes sum up to it.

        Yields tasks and their losses, of which backward is called on each in turn; the first
        process has all tasks.
        """
        part = interaction[ranks.mine(torch.arange(len(interaction)))]
        n_learnt = self.model.n_learnt(interaction)
        share = self.model.n_learnt(part) / max(n_learnt, 1) if len(part) else 0.0
        if share or (n_learnt == 0 and ranks.is_first()):
            yield "next_item", self.model.calculate_loss(part) * share
        elif ranks.is_first():
            yield "next_item", sum(w.sum() * 0 for w in self.model.parameters() if w.requires_grad)

    def _train_epoch(self, train_data, epoch_idx, loss_func=None, show_progress=False):
        rows = training_batches(train_data, self.config, self.model)
        return super()._train_epoch(rows, epoch_idx, loss_func or self.training_loss, show_progress)

    def fit(self, *args, **kwargs):
        ranks.share_weights(self.model)
        return super().fit(*args, **kwargs)

    def _save_checkpoint(self, epoch, verbose=True, **kwargs):
        super()._save_checkpoint(epoch, verbose, **kwargs)
        save_weights(self.weights_file, self.model)

    def evaluate(self, eval_data, load_best_model=True, model_file=None, show_progress=False):
        if load_best_model and model_file is None and eval_data:
            load_weights(self.weights_file, self.model)
            load_best_model = False
        return super().evaluate(eval_data, load_best_model, model_file, show_progress)

    def go_on(self, train_data, valid_data, **kwargs):
        """RecBole's fit from the model as it is: nothing is tokenized or started anew."""
        return Trainer.fit(self, train_data, valid_data, verbose=False, **kwargs)

    def own_progress(self) -> dict:
        """What an epoch has got to beyond model, optimizer and rows; tensors and plain values."""
        return {}

    def set_own_progress(self, progress: dict) -> None:
        """Go on from what :meth:`own_progress` told."""


def training_batches(train_data, config, model) -> SimilarLengths:
    """An epoch's batches, of rows of similar length and, with ``item_dropout``, fewer items."""
    length_field = model.ITEM_SEQ_LEN
    if config["item_dropout"]:
        share, suffix = config["item_dropout"], config["LIST_SUFFIX"]
        train_data = ItemDropout(train_data, share, length_field, suffix)
    return SimilarLengths(train_data, length_field)
