"""Runs that may stand in one table: of one data set, protocol and valid metric."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
import pandas as pd

from recbole_store.experiments.report.page.data import Results
from recbole_store.experiments.report.tables.tables import title_of
from recbole_store.experiments.results.groups import comparable_groups, same_users
from recbole_store.experiments.results.kept_run import FILTERS, KeptRun
from recbole_store.experiments.results.rank_metrics import is_by_rank
from recbole_store.experiments.results.run_key import Run
from recbole_store.experiments.results.significance import METRICS, Pair, mean_over_seeds, pairs
from recbole_store.experiments.results.summary import summaries

# What protocol.json says of a run that is no condition of its measurement.
OF_ONE_RUN = ("label", "seed", "protocol_hash", "converged")


@dataclass(frozen=True)
class Group:
    """Comparable runs and their figures.

    Attributes:
        name: of the data set.
        title: the data set, and what sets the protocol apart where there are several.
        table: the rows of results.csv that are these runs'.
        protocol: what protocol.json says of all of them alike.
    """

    name: str
    title: str
    runs: list[Run]
    table: pd.DataFrame
    protocol: dict

    @property
    def valid_metric(self) -> str:
        """The metric that chose the epochs, such as ``ndcg@10``."""
        return self.runs[0].result["valid_metric"].lower()

    @cached_property
    def labels(self) -> list[str]:
        """``MODEL[:variant]``, best first by the metric on validation, never by test figures."""
        return [summary.label for summary in summaries([run.kept for run in self.runs])]

    def on_validation(self, label: str) -> float | None:
        """The valid metric of the label's best epochs, mean over its seeds."""
        scores = [run.result["valid"].get(self.valid_metric) for run in self.of(label)]
        scores = [score for score in scores if score is not None]
        return float(np.mean(scores)) if scores else None

    def of(self, label: str) -> list[Run]:
        """The runs of a label, by seed."""
        return sorted((run for run in self.runs if run.label == label), key=lambda run: run.seed)

    def values(self, label: str, metric: str, part: str = "") -> pd.Series:
        """Seed -> a metric of a slice, for the label's seeds that it was measured for."""
        t = self.table
        chosen = (t["label"] == label) & (t["metric"] == metric) & (t["slice"] == part)
        return t[chosen].sort_values("seed").set_index("seed")["value"].dropna()

    def metrics(self, part: str) -> list[str]:
        """The metrics that some label has for a slice."""
        return list(dict.fromkeys(self.table.loc[self.table["slice"] == part, "metric"]))

    def slices(self) -> list[str]:
        """The slices that some label has figures for."""
        return [part for part in dict.fromkeys(self.table["slice"]) if part]

    def user_values(self, label: str, metric: str, part: str) -> np.ndarray | None:
        """A metric of every test user [U] of a slice, averaged over the label's seeds.

        None where a seed's ranks are missing, where the seeds' users differ, or where the metric
        does not follow from ranks.
        """
        runs = [run.kept for run in self.of(label)]
        if not is_by_rank(metric) or len({run.users_digest for run in runs}) != 1:
            return None
        return mean_over_seeds(runs, part, metric)

    @cached_property
    def tested_alike(self) -> list[list[KeptRun]]:
        """The runs with ranks, by their test users, largest group first; labels in order."""
        return same_users([run.kept for label in self.labels for run in self.of(label)])

    @cached_property
    def pairs(self) -> list[tuple[str, str, Pair]]:
        """(history filter, metric, pair) of every two labels with ranks of the same users."""
        return [
            (name, metric, pair)
            for runs in self.tested_alike
            for metric in METRICS
            for name in FILTERS
            for pair in pairs(runs, f"{name}/all", metric)
        ]


def groups_of(results: Results) -> list[Group]:
    """The groups of a results folder, data set by data set."""
    wrapped = {id(run.kept): run for run in results.runs}
    groups = comparable_groups([run.kept for run in results.runs])
    names = [group[0].run.dataset for group in groups]
    return [
        Group(
            name,
            title_of(group, groups),
            [wrapped[id(kept)] for kept in group],
            _rows_of(results.table, group),
            _shared_terms(results.protocol, group),
        )
        for name, group in zip(names, groups, strict=True)
    ]


def _rows_of(table: pd.DataFrame, group: list[KeptRun]) -> pd.DataFrame:
    of_data = table[table["dataset"] == group[0].run.dataset]
    runs = pd.MultiIndex.from_tuples([(kept.label, kept.run.seed) for kept in group])
    return of_data[pd.MultiIndex.from_frame(of_data[["label", "seed"]]).isin(runs)]


def _shared_terms(written: dict, group: list[KeptRun]) -> dict:
    """What protocol.json says of a whole data set, and of each of the group's runs alike."""
    name = group[0].run.dataset
    of_runs = [written.get("runs", {}).get(f"{name}/{kept.run.stem}", {}) for kept in group]
    shared = {
        key: value
        for key, value in of_runs[0].items()
        if key not in OF_ONE_RUN and all(own.get(key, ...) == value for own in of_runs)
    }
    return {**written.get("datasets", {}).get(name, {}), **shared}


def labels_by(runs: list[Run], value: Callable[[Run], object]) -> dict[tuple, list[str]]:
    """The values that a label's runs have -> the labels that have just these.

    A value of None is left out, and with it a label that has no other.

    Example: threads of A 1, of B 2 and 1, of C 1 -> {(1,): [A, C], (1, 2): [B]}
    """
    of_label: dict[str, set] = {}
    for run in runs:
        of_label.setdefault(run.label, set()).add(value(run))
    found: dict[tuple, list[str]] = {}
    for label, values in of_label.items():
        key = tuple(sorted(values - {None}))
        if key:
            found.setdefault(key, []).append(label)
    return found


def all_values(by_labels: dict[tuple, list[str]]) -> list:
    """Every value among the keys of :func:`labels_by`, in order."""
    return sorted(set(chain.from_iterable(by_labels)))
