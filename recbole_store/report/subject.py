"""What every section of one data set needs to know."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recbole_store.report.data import DatasetResults, Run
from recbole_store.report.estimates import Interval, interval
from recbole_store.report.figures import Styles

FILTERS = {
    "unfiltered": "items of the history stay candidates",
    "filtered": "items of the history are left out",
}

HOLLOW = "A hollow mark: not converged."


@dataclass(frozen=True)
class Subject:
    """One data set of a comparison.

    Attributes:
        slug: begins the ids of its sections and tables.
        protocol: what protocol.json says of this data set.
        fixed: what it says of every comparison, whatever the settings.
    """

    data: DatasetResults
    slug: str
    protocol: dict
    fixed: dict
    styles: Styles

    @property
    def labels(self) -> list[str]:
        """Best first by validation."""
        return self.data.labels

    @property
    def metric(self) -> str:
        """The metric that chose the epochs."""
        return self.data.valid_metric

    @cached_property
    def filters(self) -> list[str]:
        """The history filters with figures, the runs' own first."""
        found = [name for name in FILTERS if f"{name}/all" in self.data.slices()]
        return sorted(found, key=lambda name: name != self.own_filter)

    @cached_property
    def own_filter(self) -> str:
        """The filter that the runs were validated under, of most runs if they differ."""
        protocols = [run.result.get("protocol", {}) for run in self.data.runs]
        filtered = [p.get("filter_history", p.get("history_filtered", False)) for p in protocols]
        return "filtered" if sum(map(bool, filtered)) > len(filtered) / 2 else "unfiltered"

    def first_run(self, label: str) -> Run | None:
        """The label's run with the lowest seed."""
        return next(iter(self.data.of(label)), None)

    def not_converged(self, label: str) -> bool:
        """Whether a run of the label ended by its limit of epochs or hours."""
        return any(run.converged is False for run in self.data.of(label))

    def named(self, label: str) -> str:
        """The label, with a dagger where training was cut short."""
        return f"{label}\N{NO-BREAK SPACE}†" if self.not_converged(label) else label

    def mean(self, label: str, metric: str, part: str = "") -> float | None:
        """Mean over the seeds, from results.csv; None where it was not measured."""
        values = self.data.values(label, metric, part).dropna()
        return float(values.mean()) if len(values) else None

    def deviation(self, label: str, metric: str, part: str) -> float | None:
        """Standard deviation over the seeds; None for a single one."""
        values = self.data.values(label, metric, part).dropna()
        return float(values.std(ddof=1)) if len(values) > 1 else None

    def interval(
        self, label: str, metric: str, history_filter: str, users: np.ndarray | None = None
    ) -> Interval | None:
        """95% interval over all test users, or those of a mask [U], from the ranks of the runs."""
        values = self.data.user_values(label, metric, history_filter)
        if values is None:
            return None
        return interval(values if users is None else values[users])
