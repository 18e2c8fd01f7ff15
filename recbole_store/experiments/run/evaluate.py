"""The test of a trained model: RecBole's metrics and each user's ranked list, with and without
the items that users had before.
"""

from __future__ import annotations

import logging
import time
from contextlib import nullcontext
from typing import NamedTuple

from recbole.data.dataloader import FullSortEvalDataLoader

from recbole_store.experiments.results.rank_metrics import is_by_rank, per_user
from recbole_store.experiments.run.ranked_lists import (
    ListRecorder,
    Popularity,
    RankedLists,
    ranks_by_popularity,
)

log = logging.getLogger(__name__)

# Name of a test -> its `filter_history`.
FILTERS = {"unfiltered": False, "filtered": True}


class Tested(NamedTuple):
    """What a model showed on the test split, by name of the test, the run's own first."""

    metrics: dict[str, dict]  # RecBole's
    lists: dict[str, RankedLists]  # empty for sampled candidates
    certain: dict[str, dict]  # k -> share of users whose top k is certainly exact; of beam searches
    seconds: dict[str, float]

    @property
    def own(self) -> dict:
        """RecBole's metrics under the run's own ``filter_history``."""
        return next(iter(self.metrics.values()))

    @property
    def own_seconds(self) -> float:
        return next(iter(self.seconds.values()))


def say_popular(valid_data, popularity: Popularity, config) -> None:
    """Log what the most popular items would have on validation, beside which an epoch's is read.

    Nothing is said of metrics that no rank gives, of several targets a user, and of cold items,
    which are in the validation of no model.
    """
    metric = config["valid_metric"].lower()
    if config["cold_items"] or not is_by_rank(metric):
        return
    ranks = ranks_by_popularity(valid_data, popularity.items, config["USER_ID_FIELD"])
    if ranks is not None:
        value = per_user(ranks.numpy(), metric).mean()
        log.info("On validation the most popular items have %s %.4f.", metric, value)


def test_model(trainer, test_data, config, best: bool = True) -> Tested:
    """Evaluate the best epoch.

    Full rankings are evaluated under both values of ``filter_history``, since papers differ in it;
    rankings of sampled or labelled candidates as they are, under the name "candidates".

    Args:
        best: load the best epoch first; False takes the model as it is, cold items that have
            joined included, whose vectors no checkpoint holds.
    """
    tested = Tested({}, {}, {}, {})
    is_full = isinstance(test_data, FullSortEvalDataLoader)
    own = config["filter_history"]
    names = sorted(FILTERS, key=lambda name: FILTERS[name] != own) if is_full else ["candidates"]
    try:
        for name in names:
            config["filter_history"] = FILTERS.get(name, own)
            started = time.perf_counter()
            recorder = ListRecorder(trainer, config)
            with recorder if is_full else nullcontext():
                result = trainer.evaluate(
                    test_data,
                    load_best_model=best and name == names[0],
                    show_progress=False,
                )
            tested.seconds[name] = time.perf_counter() - started
            tested.metrics[name] = dict(result)
            if is_full:
                tested.lists[name] = recorder.table()
            if getattr(trainer.model, "certain", None):
                tested.certain[name] = trainer.model.certain
    finally:
        config["filter_history"] = own
    if names[0] in tested.certain:
        said = (f"first {k} for {share:.0%}" for k, share in tested.certain[names[0]].items())
        log.info("Users whose places are surely the catalogue's best: %s", ", ".join(said))
    return tested
