"""Runs of one label -> one line of figures: means and spreads over seeds, errors over users."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import mean, stdev

from recbole_store.experiments.results.groups import by_label, by_validation
from recbole_store.experiments.results.kept_run import KeptRun
from recbole_store.experiments.results.rank_metrics import mean_and_error
from recbole_store.experiments.results.significance import mean_over_seeds
from recbole_store.experiments.results.tidy import figures


@dataclass(frozen=True)
class Figure:
    """Mean over seeds, standard deviation over them, and standard error over test users.

    ``spread`` is None with one seed, ``error`` where per-user values are not known.
    """

    mean: float
    spread: float | None = None
    error: float | None = None


@dataclass(frozen=True)
class Summary:
    """What a comparison says of one label."""

    label: str
    n_seeds: int
    converged: bool | None  # of all its runs; None: they do not say
    figures: dict[tuple[str, str], Figure]

    def get(self, slice_name: str, metric: str) -> Figure | None:
        return self.figures.get((slice_name, metric))


def standard_error(share: float, n_users: int) -> float:
    """Standard error of a share of users, such as Recall with one target each: sqrt(p(1-p)/n)."""
    return math.sqrt(share * (1 - share) / n_users)


def summarise(runs: list[KeptRun]) -> Summary:
    """The runs of one label, one a seed."""
    per_seed = [figures(kept) for kept in runs]
    keys = [key for key in per_seed[0] if all(key in own for own in per_seed)]
    found = {}
    for slice_name, metric in keys:
        values = [own[slice_name, metric] for own in per_seed]
        spread = stdev(values) if len(values) > 1 else None
        error = _error(runs, slice_name, metric, mean(values))
        found[slice_name, metric] = Figure(mean(values), spread, error)
    said = [kept.converged for kept in runs]
    converged = False if False in said else None if None in said else True
    return Summary(runs[0].label, len(runs), converged, found)


def _error(runs: list[KeptRun], slice_name: str, metric: str, value: float) -> float | None:
    name = metric.partition("@")[0]
    if name in ("recall", "ndcg", "mrr"):
        alike = len({kept.users_digest for kept in runs}) == 1  # not if seeds draw cold items
        values = mean_over_seeds(runs, slice_name, metric) if alike else None
        if values is not None:
            return mean_and_error(values)[1]
    if name == "recall" and slice_name == runs[0].own_slice and runs[0].arrays is None:
        return standard_error(value, runs[0].result["protocol"]["n_test"])
    return None


def summaries(runs: list[KeptRun]) -> list[Summary]:
    """Labels of runs under one protocol, best valid metric first."""
    groups = by_label(runs)
    return [summarise(groups[label]) for label in by_validation(runs)]
