"""Where RecBole 1.2.1 is mended, for every model alike.

Numbers are those of RecBole's issues; where none stands, the fault was found here. Versions newer
than RecBole knows are the affair of compatibility.py.
"""

from __future__ import annotations

import importlib
import warnings
from functools import wraps

import numpy as np
import torch
from recbole.data.dataloader import FullSortEvalDataLoader
from recbole.data.dataset import Dataset
from recbole.evaluator import collector as recbole_collector
from recbole.model.general_recommender.pop import Pop
from recbole.trainer import Trainer
from recbole.utils import case_study

from recbole_store.errors import SettingsError
from recbole_store.plugin.benchmark_files import mend_histories
from recbole_store.plugin.checkpoints import load_checkpoint, unpickling, wrote
from recbole_store.plugin.cold_items import withhold
from recbole_store.plugin.diary import write_one_diary
from recbole_store.plugin.launcher import explain_hyper_tuning, launch_by_torchrun
from recbole_store.plugin.seen_items import excluded_pairs, history_pairs
from recbole_store.plugin.topk_collector import with_empty_places
from recbole_store.plugin.validation_gap import leave_gap


def mend_recbole() -> None:
    """Apply every change; called once, by :func:`recbole_store.plugin.register.register`."""
    _stop_anomaly_mode()
    _load_own_checkpoints()
    _sort_by_exact_time()
    _choose_what_is_ranked()
    _mend_collector()
    _rank_all_items()
    _mend_pop()
    _read_embeddings_alone()
    write_one_diary()
    launch_by_torchrun()
    explain_hyper_tuning()


def _stop_anomaly_mode() -> None:
    # sine.py, imported with every sequential model, checks each gradient of each model for NaN
    # and so about doubles the training time of all of them.
    importlib.import_module("recbole.model.sequential_recommender.sine")
    torch.autograd.set_detect_anomaly(False)


def _load_own_checkpoints() -> None:
    """Let RecBole load the checkpoints that a person names or this process has written.

    They are pickles that hold a Config, which torch >= 2.6 refuses by default (2215); and a pickle
    executes what its author wrote, so all others are still refused.
    """
    save, evaluate, resume = Trainer._save_checkpoint, Trainer.evaluate, Trainer.resume_checkpoint

    @wraps(save)
    def save_checkpoint(self, epoch, verbose=True, **kwargs):
        save(self, epoch, verbose, **kwargs)
        wrote(kwargs.get("saved_model_file", self.saved_model_file))

    @wraps(evaluate)
    def evaluate_checkpoint(
        self, eval_data, load_best_model=True, model_file=None, show_progress=False
    ):
        if load_best_model and eval_data:
            file = model_file or self.saved_model_file
            found = load_checkpoint(file, self.device, is_named=model_file is not None)
            self.model.load_state_dict(found["state_dict"])
            self.model.load_other_parameter(found.get("other_parameter"))
        return evaluate(self, eval_data, False, None, show_progress)

    @wraps(resume)
    def resume_checkpoint(self, resume_file):
        with unpickling():
            resume(self, resume_file)
        wrote(resume_file)  # in so far as whoever named it trusts it

    Trainer._save_checkpoint, Trainer.evaluate = save_checkpoint, evaluate_checkpoint
    Trainer.resume_checkpoint = resume_checkpoint
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's, of setuptools
        quick_start = importlib.import_module("recbole.quick_start.quick_start")
    load_named = quick_start.load_data_and_model

    @wraps(load_named)
    def load_data_and_model(model_file):
        with unpickling():
            return load_named(model_file)

    quick_start.load_data_and_model = load_data_and_model
    importlib.import_module("recbole.quick_start").load_data_and_model = load_data_and_model


def _sort_by_exact_time() -> None:
    """Keep interactions in the file's time order, for every model.

    RecBole sorts by time only after it was rounded to float32, 64 seconds or more for times since
    1970 (2204). Its sort is stable, so rows that are in order before the rounding stay in order.
    Benchmark files come in order, with histories of their own.
    """
    load = Dataset._load_inter_feat

    def load_in_time_order(self, token, dataset_path):
        load(self, token, dataset_path)
        if self.benchmark_filename_list is not None:
            mend_histories(self, token)
            return
        if self.time_field not in self.inter_feat:
            return
        if self.inter_feat[self.time_field].dtype.kind != "f":
            return  # tokens are no times
        missing = ~np.isfinite(self.inter_feat[self.time_field].astype(float))
        for field in (self.uid_field, self.iid_field):  # without which a row is left out anyway
            missing &= self.inter_feat[field].notna()
        if missing.any():  # RecBole would put the mean of all times there
            raise SettingsError(
                f"{token}.inter has {missing.sum()} rows without `{self.time_field}`, the "
                f"first in line {missing.argmax() + 2}: their place in a history is unknown; "
                "leave them out of the file."
            )
        if self.config["exact_time_order"]:
            self.inter_feat = self.inter_feat.sort_values(
                self.time_field, kind="stable", ignore_index=True
            )

    Dataset._load_inter_feat = load_in_time_order


def _choose_what_is_ranked() -> None:
    """Let ``filter_history`` say, for every model, whether a user's earlier items are ranked.

    Where it is not set, RecBole decides: general models hide them, sequential ones do not (1449,
    where this is called intended). Also,
    let ``cold_items`` take some of the test's items out of all that comes before it, and
    ``validation_gap`` each user's last targets out of training.
    """
    build, collate = Dataset.build, FullSortEvalDataLoader.collate_fn

    @wraps(build)
    def build_with_earlier_splits(self):
        splits = build(self)
        cold = torch.zeros(0, dtype=torch.long)
        for split in splits:  # before rows go
            rows = split.inter_feat
            split.predicted = (rows[split.uid_field], rows[split.iid_field])
        if self.config["cold_items"]:
            cold = withhold(splits, self.config["cold_items"], self.config["seed"])
        for place, split in enumerate(splits):
            split.in_gap = None
            split.earlier_splits = splits[:place]
            split.seen_items = split.earlier_targets = None
            split.cold_items = cold
            # Validation comes before there are cold items.
            split.also_excluded = cold if place == 1 and len(cold) else None
        if self.config["validation_gap"]:
            splits[0].in_gap = leave_gap(splits[0], self.config["validation_gap"])
        return splits

    @wraps(collate)  # a saved dataloader remembers the method by its name
    def collate_with_history(self, index):
        interaction, history, positive_u, positive_i = collate(self, index)
        wanted, dataset = self.config["filter_history"], self._dataset
        if wanted is not None:
            history = history_pairs(dataset, interaction, index) if wanted else None
        if wanted is not None or dataset.also_excluded is not None:
            history = excluded_pairs(dataset, len(interaction), positive_u, positive_i, history)
        return interaction, history, positive_u, positive_i

    Dataset.build = build_with_earlier_splits
    FullSortEvalDataLoader.collate_fn = collate_with_history


def _mend_collector() -> None:
    """Let coverage, popularity, Gini, entropy, tail metrics run (2191), and long cut-offs (1440).

    The collector moves all it holds to the CPU, also the plain numbers and counters that these
    metrics need, which cannot be moved. Of fewer items than the largest ``topk`` all are ranked;
    the places behind them hold nothing, which is no hit.
    """
    collect = recbole_collector.Collector.get_data_struct
    collect_batch = recbole_collector.Collector.eval_batch_collect

    @wraps(collect_batch)
    def eval_batch_collect(self, scores_tensor, interaction, positive_u, positive_i):
        wanted = self.topk
        if scores_tensor.dim() == 2:
            self.topk = [min(max(wanted), scores_tensor.size(1))]
        try:
            collect_batch(self, scores_tensor, interaction, positive_u, positive_i)
        finally:
            self.topk = wanted

    def get_data_struct(self):
        held = self.data_struct._data_dict
        if self.topk and "rec.items" in held:
            held["rec.items"] = with_empty_places(held["rec.items"], max(self.topk))
        if self.topk and "rec.topk" in held:
            hits, n_positives = held["rec.topk"].split([held["rec.topk"].size(1) - 1, 1], dim=1)
            hits = with_empty_places(hits, max(self.topk))
            held["rec.topk"] = torch.cat([hits, n_positives], dim=1)
        plain = {name: held.pop(name) for name in list(held) if not torch.is_tensor(held[name])}
        struct = collect(self)
        for name, value in plain.items():
            self.data_struct.set(name, value)
            struct.set(name, value)
        return struct

    recbole_collector.Collector.get_data_struct = get_data_struct
    recbole_collector.Collector.eval_batch_collect = eval_batch_collect


def _rank_all_items() -> None:
    """Let RecBole's case study ask for more items than there are: all of them are ranked."""

    class Torch:
        """torch, as the case study sees it, however early its functions were imported."""

        def __getattr__(self, name):
            return getattr(torch, name)

        @staticmethod
        def topk(scores, k):
            return torch.topk(scores, min(k, scores.size(1) - 1))  # but padding

    case_study.torch = Torch()


def _mend_pop() -> None:
    """Let Pop count interactions (2198).

    RecBole's counts, per item, the batches that it is in, sampled negatives included: with 2,048
    rows a batch all items of some popularity tie, and the baseline is weaker than popularity is.
    """
    start = Pop.__init__

    def init(self, config, dataset):
        start(self, config, dataset)
        self.LABEL = config["LABEL_FIELD"]

    def calculate_loss(self, interaction):
        items = interaction[self.ITEM_ID]
        if self.LABEL in interaction:
            items = items[interaction[self.LABEL] > 0]
        self.item_cnt[:, 0] += torch.bincount(items, minlength=self.n_items)
        self.max_cnt = self.item_cnt.max(dim=0)[0]
        return torch.nn.Parameter(torch.zeros(1)).to(self.device)

    Pop.__init__, Pop.calculate_loss = init, calculate_loss


def _read_embeddings_alone() -> None:
    """Let LDiffRec read the data set's item_emb.npy as the array that it is.

    It allows a pickle there, which executes what the data's author wrote. Upstream has no issue.
    """

    class Numpy:
        """NumPy, as the model sees it."""

        def __getattr__(self, name):
            return getattr(np, name)

        @staticmethod
        def load(path, allow_pickle=False):
            try:
                return np.load(path, allow_pickle=False)
            except ValueError as error:
                raise SettingsError(
                    f"{path} is no array of numbers, which is all that is read of it; `n_cate: 1` "
                    "needs none."
                ) from error

    importlib.import_module("recbole.model.general_recommender.ldiffrec").np = Numpy()
