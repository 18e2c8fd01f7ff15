"""What every section of one chapter needs to know."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from recbole_store.experiments.report.page.estimates import Estimate, estimate
from recbole_store.experiments.report.page.figures import Styles
from recbole_store.experiments.report.page.formats import listed
from recbole_store.experiments.report.page.group import Group
from recbole_store.experiments.results.run_key import Run

FILTERS = {
    "unfiltered": "items of the history stay candidates",
    "filtered": "items of the history are left out",
}

HOLLOW = "A hollow mark: not converged."


@dataclass(frozen=True)
class Subject:
    """One chapter: the comparable runs of a data set.

    Attributes:
        slug: begins the ids of its sections and tables.
        fixed: what protocol.json says of every comparison, whatever the settings.
    """

    data: Group
    slug: str
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

    @property
    def own_filter(self) -> str:
        """The filter that the runs were validated under."""
        return "filtered" if self.data.runs[0].kept.is_filtered else "unfiltered"

    def first_run(self, label: str) -> Run:
        """The label's run with the lowest seed."""
        return self.data.of(label)[0]

    def not_converged(self, label: str) -> bool:
        """Whether a run of the label ended by its limit of epochs or hours."""
        return any(run.converged is False for run in self.data.of(label))

    def is_trained(self, label: str) -> bool:
        """Whether the label learns in epochs; False for Pop."""
        return any(run.is_trained for run in self.data.of(label))

    def named(self, label: str) -> str:
        """The label, with a dagger where training was cut short."""
        return f"{label}\N{NO-BREAK SPACE}†" if self.not_converged(label) else label

    def mean(self, label: str, metric: str, part: str = "") -> float | None:
        """Mean over the seeds, from results.csv; None where it was not measured."""
        values = self.data.values(label, metric, part)
        return float(values.mean()) if len(values) else None

    def deviation(self, label: str, metric: str, part: str) -> float | None:
        """Standard deviation over the seeds; None for a single one."""
        values = self.data.values(label, metric, part)
        return float(values.std(ddof=1)) if len(values) > 1 else None

    def estimate(self, label: str, metric: str, part: str) -> Estimate | None:
        """Mean and standard error over the test users of a slice, from the ranks of the runs."""
        values = self.data.user_values(label, metric, part)
        return None if values is None else estimate(values)

    def fewer_seeds(self, metric: str, part: str) -> str:
        """Which labels have a figure for some of their seeds only; empty if there are none.

        Example: ``BPR:tuned: mean over seeds 2020 and 2022 alone.``
        """
        found = []
        for label in self.labels:
            measured = list(self.data.values(label, metric, part).index)
            if 0 < len(measured) < len(self.data.of(label)):
                found.append(f"{label}: mean over {seeds_said(measured)} alone")
        return f"{'; '.join(found)}." if found else ""


def seeds_said(seeds: list[int]) -> str:
    """``seed 2020`` or ``seeds 2020 and 2022``"""
    return f"seed{'s' if len(seeds) > 1 else ''} {listed([str(seed) for seed in seeds])}"
