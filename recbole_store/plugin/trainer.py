"""Two stages inside RecBole's ``fit``: first the tokenizer, then the recommender."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch
from recbole.utils import init_seed

import recbole_store.processes.ranks as ranks
from recbole_store.data.popularity import popularity_bounds
from recbole_store.generator.scores import dense_scores
from recbole_store.generator.windows import with_targets
from recbole_store.plugin.learning_rates import schedule
from recbole_store.plugin.plugin_trainer import PluginTrainer
from recbole_store.plugin.progress import Progress
from recbole_store.plugin.shared_ranking import SharedRankingTrainer
from recbole_store.plugin.topk_collector import TopKCollector, is_ranked_by_topk
from recbole_store.processes.shared_states import share_states_if_too_large
from recbole_store.processes.status import SILENT, Status
from recbole_store.tokenizer.cache import stage_keys
from recbole_store.tokenizer.co_occurrence import (
    start_from_co_occurrence,
    training_co_occurrence,
)
from recbole_store.tokenizer.probe import Histories, probe, verdict
from recbole_store.tokenizer.quantizers.base import NOTHING
from recbole_store.tokenizer.semantic_ids import write_table
from recbole_store.tokenizer.stage import TokenizerStage
from recbole_store.tokenizer.text_tower import Windows

log = logging.getLogger(__name__)


class SASRecAllTrainer(SharedRankingTrainer):
    """Starts items' vectors from what training histories put together, if asked to."""

    def fit(self, train_data, *args, **kwargs):
        if self.config["collaborative_start"]:
            start_from_co_occurrence(
                self.model.item_embedding,
                self.config["collaborative_start"],
                train_data.dataset,
                self.config["seed"],
            )
        return super().fit(train_data, *args, **kwargs)


class NeighboursTrainer(SharedRankingTrainer):
    """RecBole's trainer for a model that has nothing to learn."""

    learns = False

    def _train_epoch(self, train_data, epoch_idx, loss_func=None, show_progress=False):
        return 0.0


class TextTowerTrainer(SharedRankingTrainer):
    """A trainer on windows, once the texts are read."""

    def fit(self, train_data, *args, **kwargs):
        self.model.read_texts(self.status)
        init_seed(self.config["seed"], self.config["reproducibility"])
        return super().fit(train_data, *args, **kwargs)


class SemanticIdTrainer(PluginTrainer):
    """A trainer for models of semantic IDs, with the tokenizer stage before RecBole's ``fit``.

    Early stopping, the best epoch and TensorBoard are RecBole's own.

    Attributes:
        tokenizer_progress: where a tokenizer stage that is cut off is found again; None: nowhere.
        final_rate_share: of the learning rates, left after the last epoch and reached linearly;
            None: they do not fall so.
    """

    tokenizer_progress: Progress | None = None
    final_rate_share: float | None = None

    def __init__(self, config, model):
        super().__init__(config, model)
        self.eval_collector = TopKCollector(config)
        self._by_topk = is_ranked_by_topk(config)
        self._certain: list[torch.Tensor] = []

    def _build_optimizer(self, n_steps: int | None = None, **kwargs):
        """RecBole's choice of optimizer and Adafactor, with the model's groups and a schedule.

        Args:
            n_steps: of the whole training, where the learning rates are to fall until its end.
        """
        kwargs.setdefault("params", self.model.parameter_groups())
        if self.config["learner"] == "adafactor":
            optimizer = torch.optim.Adafactor(
                kwargs["params"],
                lr=kwargs.get("learning_rate", self.learning_rate),
                weight_decay=self.weight_decay,
            )
        else:
            optimizer = super()._build_optimizer(**kwargs)
        share_states_if_too_large(optimizer, self.model, self.device)
        schedule(
            optimizer,
            self.config["warmup_steps"],
            self.config["decay_after_steps"],
            n_steps,
            self.final_rate_share,
        )
        return optimizer

    def fit(self, train_data, valid_data=None, verbose=True, saved=True, **kwargs):
        """Tokenize the items, then train the recommender on their codes."""
        if kwargs.get("show_progress") and self.status is SILENT:  # in RecBole's own run_recbole
            self.status = Status()
        self.tokenize_items(train_data.dataset, valid_data)
        self.status.close()
        # From here on, a cached tokenizer and one trained just now give the same run.
        init_seed(self.config["seed"], self.config["reproducibility"])
        self._begin_recommender(train_data)
        return super().fit(train_data, valid_data, verbose=verbose, saved=saved, **kwargs)

    def go_on(self, train_data, valid_data, **kwargs):
        SemanticIdTrainer._begin_recommender(self, train_data)
        return super().go_on(train_data, valid_data, **kwargs)

    def _begin_recommender(self, train_data) -> None:
        self.optimizer = self._build_optimizer(n_steps=len(train_data) * self.epochs)
        dataset = train_data.dataset
        log.info(
            "Recommender: %d rows an epoch for %d targets, %.1fM trained parameters, %s",
            len(dataset),
            len(dataset.inter_feat),
            self.model.trained_parameters / 1e6,
            "bf16" if self.model.bf16 else "fp32",
        )

    def _full_sort_batch_eval(self, batched_data):
        """Hand the collector ranked items; a dense matrix of scores only where metrics need it."""
        interaction, hidden, positive_u, positive_i = batched_data
        if hidden is not None:
            hidden = tuple(part.to(self.device) for part in hidden)
        beams = self.model.recommend(interaction.to(self.device), hidden)
        if bool((beams.pruned < torch.inf).any()):  # else nothing is known of what was left out
            certain = [beams.is_exact(k) for k in self.config["topk"]]
            self._certain.append(torch.stack(certain, dim=1))
        if self._by_topk:
            return interaction, beams, positive_u, positive_i
        scores = dense_scores(beams, self.tot_item_num)
        scores[:, 0] = -torch.inf
        if hidden is not None:
            scores[hidden] = -torch.inf
        return interaction, scores, positive_u, positive_i

    def evaluate(self, eval_data, *args, **kwargs):
        """RecBole's evaluation; the model then knows for how many users its top-k is certain."""
        self._certain = []
        result = super().evaluate(eval_data, *args, **kwargs)
        if self._certain:
            shares = torch.cat(self._certain).float().mean(0).tolist()
            self.model.certain = dict(zip(self.config["topk"], shares, strict=True))
        return result

    def tokenize_items(self, dataset, valid_data=None) -> None:
        """Give every item its semantic ID, and write the table beside the checkpoint."""
        tokenizer = self.model.item_tokenizer
        settings = {key: self.config[key] for key in stage_keys(tokenizer.name)}
        stage = TokenizerStage(tokenizer, settings, self._build_optimizer, self.tokenizer_progress)
        together = None
        if stage.reads_company:
            together = training_co_occurrence(dataset, self.model.n_items)
        windows = training_windows(dataset, self.model) if stage.reads_windows else None
        found = stage.run(
            dataset.dataset_name, together, windows, dataset.item_counter, self.status
        )
        self.model.start_recommender(found)
        self.model.tokenizer_report = stage.report(found)
        if valid_data is not None and tokenizer.reads != NOTHING:
            found = ranks.from_first(lambda: self._probe(dataset, valid_data))
            self.model.tokenizer_report["probe"] = found
        if not ranks.is_first():
            return
        raw_ids = list(dataset.field2id_token[dataset.iid_field][1:])
        path = Path(self.checkpoint_dir) / "semantic_ids.tsv"
        write_table(path, raw_ids, self.model.semantic_ids[1:], tokenizer.texts[1:])

    def _probe(self, dataset, valid_data) -> dict:
        """Nearest neighbours of validation users by the tokenizer's vectors, and by words."""
        model, tokenizer = self.model, self.model.item_tokenizer
        rows = valid_data.dataset.inter_feat
        fields = (model.ITEM_SEQ, model.ITEM_SEQ_LEN, model.ITEM_ID)
        histories = Histories(*(rows[field].cpu().numpy() for field in fields))
        counts = np.zeros(model.n_items, dtype=int)
        counts[list(dataset.item_counter)] = list(dataset.item_counter.values())
        counts[0] = 0
        known = tokenizer.is_known().cpu().numpy()
        is_tail = known & (counts < popularity_bounds(counts)[1])
        found = {
            name: vectors.flatten(1).float().cpu().numpy()
            for name, vectors in tokenizer.representations().items()
        }
        report = probe(found, tokenizer.texts, histories, is_tail, known)
        if len(histories.targets):
            for line in verdict(report):
                log.info(line)
        return report


class STORETrainer(SemanticIdTrainer):
    """Trains the LLM in both stages, in micro-batches if asked to."""

    # Rates that stay were no worse on ml-100k (.0693 for .0686 of NDCG@10 on validation); falling
    # ones end a training by design.
    final_rate_share = 0.1

    def _begin_recommender(self, train_data) -> None:
        if self.config["collaborative_start"]:
            start_from_co_occurrence(
                self.model.item_vectors.own,
                self.config["collaborative_start"],
                train_data.dataset,
                self.config["seed"],
            )
        super()._begin_recommender(train_data)

    def own_progress(self) -> dict:
        return {"text_batches": self.model.item_tokenizer.token_texts.waiting}

    def set_own_progress(self, progress: dict) -> None:
        self.model.item_tokenizer.token_texts.waiting = progress["text_batches"]

    def loss_shares(self, interaction):
        yield from self.model.loss_pieces(interaction, self.config["micro_batch_size"])

    def batch_loss(self, interaction):
        """A batch's loss, with the gradients of all but its last piece accumulated already.

        RecBole has zeroed the gradients; it adds those of the last piece, clips and steps.
        """
        piece = self.config["micro_batch_size"]
        if piece is None:
            return self.model.calculate_loss(interaction)
        losses: dict[str, torch.Tensor] = {}
        waiting = None
        for task, loss in self.model.loss_pieces(interaction, piece):
            if waiting is not None:
                waiting.backward()
            losses[task] = losses.get(task, 0.0) + loss.detach()
            waiting = loss
        # The last piece's value is in the sum already: only its gradient is to be added.
        losses[task] = losses[task] + (waiting - waiting.detach())
        return tuple(losses.values()) if len(losses) > 1 else losses[task]


class TIGERTrainer(SemanticIdTrainer):
    """Draws the targets of each epoch, where ``targets_per_user`` bounds them."""

    _drawn_for = -1  # the epoch that the data set's targets were drawn for
    _rows = None  # the training split's data set

    def go_on(self, train_data, valid_data, **kwargs):
        self._rows = train_data.dataset
        return super().go_on(train_data, valid_data, **kwargs)

    def _begin_recommender(self, train_data) -> None:
        self._rows = train_data.dataset
        super()._begin_recommender(train_data)

    def _train_epoch(self, train_data, epoch_idx, loss_func=None, show_progress=False):
        if self._rows is None:
            self._rows = train_data.dataset
        if self._drawn_for != epoch_idx:
            self._rows.draw_targets()
            self._drawn_for = epoch_idx
        return super()._train_epoch(train_data, epoch_idx, loss_func, show_progress)

    def own_progress(self) -> dict:
        return {"drawn": self._rows.drawn, "drawn_for": self._drawn_for}

    def set_own_progress(self, progress: dict) -> None:
        self._rows.drawn, self._drawn_for = progress["drawn"], progress["drawn_for"]


def training_windows(dataset, model) -> Windows:
    """All training histories of a WindowDataset, read as its model does."""
    rows = dataset[torch.arange(len(dataset))]
    items = with_targets(rows[model.ITEM_SEQ], rows[model.ITEM_SEQ_LEN], rows[model.ITEM_ID])
    return Windows(items, model.wanted_targets(rows)[:, : items.size(1) - 1])
