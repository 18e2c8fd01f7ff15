"""What the page says of one group of comparable runs: a sentence, charts, tables."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from markupsafe import Markup

from recbole_store.experiments.report.answer import answer
from recbole_store.experiments.report.page.charts import Dot, Series, chart, dots
from recbole_store.experiments.report.tables.detail_tables import detail_tables
from recbole_store.experiments.report.tables.label_table import named
from recbole_store.experiments.report.tables.layout import Table
from recbole_store.experiments.report.tables.tables import group_tables
from recbole_store.experiments.results.glossary import metric_name
from recbole_store.experiments.results.groups import by_label
from recbole_store.experiments.results.kept_run import KeptRun
from recbole_store.experiments.results.significance import Pair, family_pairs, reference
from recbole_store.experiments.results.summary import Figure, Summary, summaries

N_COLOURS = 8  # of page.css
Z95 = 1.959964  # 97.5% quantile of the normal distribution


@dataclass(frozen=True)
class Chapter:
    """Comparable runs of a data set; ``slug`` is the id of its heading."""

    runs: list[KeptRun]
    title: str
    slug: str
    trials: list[Table]

    @cached_property
    def every(self) -> list[Summary]:
        """One a label, best on validation first."""
        return summaries(self.runs)

    @cached_property
    def pairs(self) -> list[Pair]:
        return family_pairs(self.runs)

    @property
    def reference(self) -> str:
        """The label that the others are compared with."""
        return self.pairs[0].a if self.pairs else reference([s.label for s in self.every])

    @property
    def shown(self) -> list[Summary]:
        """The reference and the other models; its variants have a table of their own."""
        return [s for s in self.every if s.label == self.reference or not self._is_ours(s)]

    @property
    def metric(self) -> str:
        return metric_name(self.runs[0].valid_metric)

    def quality(self, summary: Summary) -> Figure | None:
        """The metric that chose the epochs, on the test, under the runs' own filter."""
        return summary.get(self.runs[0].own_slice, self.runs[0].valid_metric)

    @cached_property
    def answer(self) -> str:
        """One sentence, see :mod:`recbole_store.experiments.report.answer`."""
        return answer(self.runs, self.every, self.pairs)

    @property
    def charts(self) -> list[Markup]:
        """Dots with intervals, and quality against time; none for draws of new items."""
        if self.runs[0].cold_share:
            return []
        rows, points = [], []
        for summary in self.every:
            figure, fit = self.quality(summary), summary.get("", "fit_s")
            if figure and summary in self.shown:
                half = None if figure.error is None else Z95 * figure.error
                ends = (None, None) if half is None else (figure.mean - half, figure.mean + half)
                name = named(summary.label, summary.converged)
                rows.append(Dot(name, figure.mean, *ends, self._classes(summary)))
            if figure and fit:
                point = [(fit.mean / 60, figure.mean)]
                is_named = summary in self.shown
                points.append(Series(summary.label, point, self._classes(summary), is_named))
        filtered = ", items of the history filtered" if self.runs[0].is_filtered else ""
        rows.sort(key=lambda row: -row.value)
        title = f"{self.metric} on the test{filtered}, 95% intervals"
        time = chart(points, f"{self.metric} against time", "minutes of training", self.metric)
        return [dots(rows, title), time] if rows else []

    @property
    def curves(self) -> Markup | str:
        """Validation by minutes of training, of the first seed of what is shown."""
        runs = by_label(self.runs)
        lines = [
            Series(summary.label, points, self._classes(summary))
            for summary in self.shown
            if len(points := runs[summary.label][0].curve) > 1
        ]
        title = f"{self.metric} on validation, first seed; evaluations and stage 1 take time too"
        return chart(lines, title, "minutes", self.metric)

    @property
    def tables(self) -> list[Table]:
        """All tables, the most important first."""
        every = group_tables(self.runs, self.title) + detail_tables(self.runs, self.title)
        return every + self.trials

    def _is_ours(self, summary: Summary) -> bool:
        return summary.label.partition(":")[0] == self.reference.partition(":")[0]

    def _classes(self, summary: Summary) -> str:
        """The model's colour, the reference's being the first, and whether it was still rising."""
        names = [
            label.partition(":")[0] for label in (self.reference, *(s.label for s in self.every))
        ]
        place = list(dict.fromkeys(names)).index(summary.label.partition(":")[0]) % N_COLOURS
        return f"m{place}" + (" rising" if summary.converged is False else "")
