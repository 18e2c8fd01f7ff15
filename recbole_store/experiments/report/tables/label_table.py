"""One row a label: quality, and what it cost; and the curves that were still rising."""

from __future__ import annotations

from recbole_store.experiments.report.tables.layout import Cell, Table
from recbole_store.experiments.results.glossary import metric_name
from recbole_store.experiments.results.kept_run import FILTERS, SMALLER_IS_BETTER, KeptRun
from recbole_store.experiments.results.summary import Figure, Summary, summaries

SHOWN = ("recall", "ndcg", "mrr")
CURVE_END = 8  # evaluations shown of a run that was still rising
RISING = "†"
RISING_SAID = (
    f"{RISING} Its best evaluation was its last: it was still rising when its budget of epochs or "
    "hours, or its planned schedule, ended."
)


def label_table(runs: list[KeptRun], title: str, committed: frozenset[str] = frozenset()) -> Table:
    """Means over seeds with their spread, and the standard error over users.

    Args:
        committed: labels to mark with ``*``, as results that were not made now.
    """
    every, valid_metric = summaries(runs), runs[0].valid_metric
    columns = _metric_columns(every, runs[0])
    header = ["model", "seeds", f"valid {metric_name(valid_metric)}", *columns]
    header += ["epochs", "fit", "s/epoch", "test eval", "trained par."]
    cells = [marked([s.get(*key) for s in every], key[1]) for key in columns.values()]
    rows = []
    for place, summary in enumerate(every):
        name = summary.label + ("*" if summary.label in committed else "")
        row = [named(name, summary.converged), str(summary.n_seeds)]
        row += [plain(summary.get("valid", valid_metric)), *(column[place] for column in cells)]
        rows.append(row + _costs(summary))
    return Table(title, header, rows, [*_notes(every), *budget_notes(runs)])


def named(label: str, converged: bool | None) -> str:
    """A label with its mark, whichever side of a comparison it is on."""
    return f"{label} {RISING}" if converged is False else label


def _metric_columns(every: list[Summary], kept: KeptRun) -> dict[str, tuple[str, str]]:
    """Head -> (slice, metric) of each column: the runs' own slice first, then the other filter."""
    cutoff = kept.valid_metric.partition("@")[2]
    own, other = kept.own_slice, f"{FILTERS[not kept.is_filtered]}/all"
    available = {key for summary in every for key in summary.figures}
    if not cutoff:  # value metrics such as AUC
        return {m: (s, m) for s, m in sorted(available) if s == own and m != "n_users"}
    wanted = [(own, name) for name in SHOWN] + [(other, name) for name in SHOWN[:2]]
    found = {}
    for slice_name, name in wanted:
        key = (slice_name, f"{name}@{cutoff}")
        filter_name = slice_name.partition("/")[0]
        suffix = "" if filter_name == "unfiltered" else f" ({filter_name})"
        if key in available:
            found[metric_name(key[1]) + suffix] = key
    return found


def marked(figures: list[Figure | None], metric: str) -> list[Cell]:
    """Cells of a column, the best and the second best marked, to the four decimals shown."""
    smaller = metric.partition("@")[0] in SMALLER_IS_BETTER
    means = sorted({f"{f.mean:.4f}" for f in figures if f}, key=float, reverse=not smaller)
    marks = dict(zip(means, ("best", "second"), strict=False)) if len(means) > 1 else {}
    return [_cell(figure, marks) for figure in figures]


def _cell(figure: Figure | None, marks: dict[str, str]) -> Cell:
    if figure is None:
        return Cell("-")
    beside = f"±{figure.error:.4f}" if figure.error is not None else ""
    beside += f" ({figure.spread:.4f})" if figure.spread is not None else ""
    return Cell(plain(figure), beside.strip(), marks.get(plain(figure), ""))


def _costs(summary: Summary) -> list[str]:
    def mean(name: str) -> float | None:
        figure = summary.get("", name)
        return None if figure is None else figure.mean

    epochs, epoch_s, parameters = mean("epochs"), mean("epoch_s"), mean("trained_parameters")
    return [
        "-" if epochs is None else f"{epochs:.4g}",
        duration(mean("fit_s")),
        "-" if epoch_s is None else f"{epoch_s:.1f}",
        duration(mean("test_s")),
        "-" if parameters is None else _count(round(parameters)),
    ]


def _notes(every: list[Summary]) -> list[str]:
    notes = ["Sorted by the valid metric."] if len(every) > 1 else []
    if any(f.error is not None for s in every for f in s.figures.values()):
        notes.append("± is the standard error over test users.")
    if any(s.n_seeds > 1 for s in every):
        said = "the standard deviation over seeds; all else are means over them."
        notes.append(f"In brackets: {said}")
    return notes + ([RISING_SAID] if any(s.converged is False for s in every) else [])


def budget_notes(runs: list[KeptRun]) -> list[str]:
    """How long each model might train, where that was bounded; a model without bound is named."""
    labels: dict[float | None, list[str]] = {}
    for kept in runs:
        hours = kept.result.get("hashed_settings", {}).get("max_hours")
        labels.setdefault(hours, []).append(kept.label)
    if set(labels) == {None}:
        return []
    if len(labels) == 1:
        return [f"Budget: {next(iter(labels)):g} hours of training for each model."]
    said = "; ".join(
        f"{'none' if hours is None else f'{hours:g} hours'} for {', '.join(dict.fromkeys(own))}"
        for hours, own in sorted(labels.items(), key=lambda item: item[0] or float("inf"))
    )
    return [f"Budgets of training differ: {said}."]


def curve_table(runs: list[KeptRun], title: str) -> Table | None:
    """How validation stood at the end of what was still rising; None if nothing was."""
    rows = []
    for kept in runs:
        curve = kept.evaluations[-CURVE_END:]
        if kept.converged is False and curve:
            epochs = ", ".join(str(epoch) for epoch, _ in curve)
            scores = ", ".join(f"{score:.4f}" for _, score in curve)
            rows.append([named(kept.label, False), str(kept.run.seed), epochs, scores])
    header = ["model", "seed", "after epochs", f"valid {metric_name(runs[0].valid_metric)}"]
    return Table(f"{title}: still rising", header, rows, n_text_columns=4) if rows else None


def plain(figure: Figure | None) -> str:
    """Four decimals, as RecBole rounds."""
    return "-" if figure is None else f"{figure.mean:.4f}"


def duration(seconds: float | None) -> str:
    """Example: 40.2 -> ``40.2 s``, 90 -> ``1.5 min``"""
    if seconds is None:
        return "-"
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds / 60:.1f} min"


def _count(number: int) -> str:
    for unit, size in (("M", 10**6), ("k", 10**3)):
        if number >= size:
            return f"{number / size:.1f}{unit}"
    return str(number)
