"""Runs -> the tables that a person reads; the one with a row a label is made here."""

from __future__ import annotations

from recbole_store.experiments.report.tables.cold_table import cold_tables
from recbole_store.experiments.report.tables.layout import Table, as_text
from recbole_store.experiments.report.tables.pair_table import pair_table
from recbole_store.experiments.report.tables.published import published_table
from recbole_store.experiments.results.groups import comparable_groups, shared_terms
from recbole_store.experiments.results.kept_run import FILTERS, KeptRun
from recbole_store.experiments.results.summary import SMALLER_IS_BETTER, Figure, Summary, summaries

SHOWN = ("Recall", "NDCG", "MRR")
CURVE_END = 8  # evaluations shown of a run that had not converged


def tables(runs: list[KeptRun], committed: frozenset[str] = frozenset()) -> list[Table]:
    """The tables of each data set and protocol.

    Args:
        committed: labels to mark with ``*``, as results that were not made now.
    """
    groups = comparable_groups(runs)
    found = []
    for group in groups:
        dataset, title = group[0].run.dataset, title_of(group, groups)
        found.append(label_table(group, title, committed))
        others = [curve_table(group, title), pair_table(group, title), *cold_tables(group, title)]
        if not group[0].cold_share:  # nobody else withholds these items
            others.append(published_table(dataset))
        found += [table for table in others if table]
    return found


def title_of(group: list[KeptRun], groups: list[list[KeptRun]]) -> str:
    """The data set, and what a group's protocol has apart from the others of it.

    Example: ``Beauty, filter_history True``
    """
    dataset = group[0].run.dataset
    others = [shared_terms(g[0]) for g in groups if g[0].run.dataset == dataset]
    terms = [
        f"{key} {value}"
        for key, value in shared_terms(group[0]).items()
        # Without a number of test users are those with cold items, of which it goes without saying.
        if any(other.get(key, ...) != value for other in others if key in other or key != "n_test")
    ]
    return ", ".join([dataset, *terms])


def label_table(runs: list[KeptRun], title: str, committed: frozenset[str] = frozenset()) -> Table:
    """One row a label: means over seeds with their spread, and the standard error over users."""
    every = summaries(runs)
    valid_metric = runs[0].result["valid_metric"].lower()
    columns = _metric_columns(every, runs[0], valid_metric)
    header = ["model", "seeds", f"valid {valid_metric}", *(name for name, _ in columns)]
    header += ["epochs", "fit", "s/epoch", "test eval", "trained par."]
    cells = {key: _marked([s.get(*key) for s in every], key[1]) for _, key in columns}
    rows = []
    for place, summary in enumerate(every):
        name = summary.label + ("*" if summary.label in committed else "")
        name += " †" if summary.converged is False else ""
        row = [name, str(summary.n_seeds), _number(summary.get("valid", valid_metric))]
        row += [cells[key][place] for _, key in columns]
        rows.append(row + _costs(summary))
    return Table(title, header, rows, [*_notes(every, len(columns)), *budget_notes(runs)])


def _metric_columns(every: list[Summary], kept: KeptRun, valid_metric: str) -> list:
    """(name, (slice, metric)) of each column: the runs' own slice first, then the other filter."""
    cutoff = valid_metric.partition("@")[2]
    own = kept.own_slice
    other = f"{FILTERS[not kept.is_filtered]}/all"
    available = {key for summary in every for key in summary.figures}
    if not cutoff:  # value metrics such as AUC
        return [(m, (s, m)) for s, m in sorted(available) if s == own and m != "n_users"]
    columns = []
    for slice_name in (own, other):
        name = slice_name.partition("/")[0]
        suffix = "" if name == "unfiltered" else f" ({name})"
        for metric in SHOWN if slice_name == own else SHOWN[:2]:
            key = (slice_name, f"{metric.lower()}@{cutoff}")
            if key in available:
                columns.append((f"{metric}@{cutoff}{suffix}", key))
    return columns


def _marked(figures: list[Figure | None], metric: str) -> list[str]:
    """Cells of a column, the best ``**bold**`` and the second best ``*italic*``."""
    smaller = metric.partition("@")[0] in SMALLER_IS_BETTER
    means = sorted({f"{f.mean:.4f}" for f in figures if f}, key=float, reverse=not smaller)
    marks = dict(zip(means, ("**", "*"), strict=False)) if len(means) > 1 else {}
    return [_cell(figure, marks) for figure in figures]


def _cell(figure: Figure | None, marks: dict[str, str]) -> str:
    if figure is None:
        return "-"
    mark = marks.get(f"{figure.mean:.4f}", "")
    text = f"{mark}{figure.mean:.4f}{mark}"
    text += f" ±{figure.error:.4f}" if figure.error is not None else ""
    return text + (f" ({figure.spread:.4f})" if figure.spread is not None else "")


def _costs(summary: Summary) -> list[str]:
    def mean(name: str) -> float | None:
        figure = summary.get("", name)
        return None if figure is None else figure.mean

    epochs, epoch_s, parameters = mean("epochs"), mean("epoch_s"), mean("trained_parameters")
    return [
        "-" if epochs is None else f"{epochs:.4g}",
        _duration(mean("fit_s")),
        "-" if epoch_s is None else f"{epoch_s:.1f}",
        _duration(mean("test_s")),
        "-" if parameters is None else _count(round(parameters)),
    ]


def _notes(every: list[Summary], n_columns: int) -> list[str]:
    notes = []
    if len(every) > 1 and n_columns:
        notes.append("Sorted by the valid metric; **best** and *second best* of a column.")
    if any(f.error is not None for s in every for f in s.figures.values()):
        notes.append("± is the standard error over test users.")
    if any(s.n_seeds > 1 for s in every):
        notes.append(
            "In brackets: the standard deviation over seeds; all else are means over them."
        )
    if any(s.converged is False for s in every):
        notes.append(
            "† had not converged: its training ended by the number of epochs or hours, not by "
            "early stopping, and no model is called better than it."
        )
    return notes


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
    """How validation stood when the training of what had not converged ended; None if all had."""
    rows = []
    for kept in runs:
        curve = [row for row in kept.result.get("curve", []) if "valid_score" in row][-CURVE_END:]
        if kept.result.get("converged") is False and curve:
            epochs = ", ".join(str(row["epoch"] + 1) for row in curve)
            scores = ", ".join(f"{row['valid_score']:.4f}" for row in curve)
            rows.append([f"{kept.label} †", str(kept.result["seed"]), epochs, scores])
    header = ["model", "seed", "after epochs", f"valid {runs[0].result['valid_metric'].lower()}"]
    return Table(f"{title}: not converged", header, rows, n_text_columns=4) if rows else None


def _number(figure: Figure | None) -> str:
    return "-" if figure is None else f"{figure.mean:.4f}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds / 60:.1f} min"


def _count(number: int) -> str:
    for unit, size in (("M", 10**6), ("k", 10**3)):
        if number >= size:
            return f"{number / size:.1f}{unit}"
    return str(number)


def console_text(runs: list[KeptRun], committed: frozenset[str] = frozenset()) -> str:
    """What a comparison prints at its end."""
    return "\n\n".join(as_text(table) for table in tables(runs, committed)) or "No results."
