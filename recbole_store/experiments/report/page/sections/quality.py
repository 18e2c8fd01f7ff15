"""How good the recommendations are: the main table and what others report."""

from __future__ import annotations

from recbole_store.experiments.report.page import figures
from recbole_store.experiments.report.page.blocks import (
    Beside,
    Block,
    Cell,
    Chart,
    Charts,
    Paragraph,
    Section,
    Table,
    missing,
)
from recbole_store.experiments.report.page.formats import (
    figure,
    is_missing,
    metric_name,
    spread,
)
from recbole_store.experiments.report.page.glossary import LISTS, SEARCH
from recbole_store.experiments.report.page.sections.pairs import lead
from recbole_store.experiments.report.page.subject import FILTERS, HOLLOW, Subject, seeds_said
from recbole_store.experiments.report.tables.published import HEADER, NOTE, published_rows

MAIN = ("ndcg", "recall", "mrr")  # with one target, Hit is Recall and Precision is Recall / k
ELSEWHERE = {"n_users", *LISTS, *SEARCH}  # what the section on the catalogue shows
ROUNDING = 2e-4  # RecBole keeps four decimals


def marks(values: list[float | None]) -> list[str]:
    """Best and second best of a column as it is shown, to four decimals.

    Example: [0.3, 0.1, None, 0.2] -> ["best", "", "", "second"]
    """
    shown = [None if is_missing(v) else round(v, 4) for v in values]
    ranking = sorted({v for v in shown if v is not None}, reverse=True)
    names = dict(zip(ranking, ("best", "second"), strict=False)) if len(ranking) > 1 else {}
    return [names.get(v, "") for v in shown]


def results(subject: Subject) -> Section:
    """The main table, once a history filter, and every metric folded."""
    blocks: list[Block] = [Paragraph(said)] if (said := lead(subject)) else []
    for history_filter in subject.filters:
        blocks += _one_filter(subject, history_filter)
    if not blocks:
        blocks = [missing("results.csv has no figures over all test users of this data set.")]
    blocks += _disagreements(subject)
    blocks += _published(subject)
    return Section(f"{subject.slug}-results", "Results", blocks)


def _published(subject: Subject) -> list[Block]:
    """What others report on this data set, in a table of its own: it was not measured here."""
    if subject.data.runs[0].kept.cold_share:  # nobody else withholds these items
        return []
    rows = [
        [Cell("–" if text == "-" else text) for text in row]  # the report's sign for no figure
        for row in published_rows(subject.data.name)
    ]
    if not rows:
        return []
    return [
        Table(
            f"{subject.slug}-published",
            "Published figures, by others",
            HEADER,
            rows,
            note=NOTE,
            wide=True,
        )
    ]


def _one_filter(subject: Subject, history_filter: str) -> list[Block]:
    part, cutoff = f"{history_filter}/all", subject.metric.partition("@")[2]
    known = [m for m in subject.data.metrics(part) if m.partition("@")[0] not in ELSEWHERE]
    metrics = [f"{name}@{cutoff}" for name in MAIN if f"{name}@{cutoff}" in known] or known
    own = " Epochs were chosen this way." if history_filter == subject.own_filter else ""
    main = Table(
        f"{subject.slug}-{history_filter}",
        f"{history_filter.capitalize()}: {FILTERS[history_filter]}.{own}",
        ["model", *map(metric_name, metrics), "on validation", "seeds"],
        _rows(subject, metrics, history_filter),
        note=_note(subject),
    )
    rest = Table(
        f"{subject.slug}-{history_filter}-every-metric",
        f"{history_filter.capitalize()}: every metric",
        ["model", *map(metric_name, known)],
        [
            [Cell(subject.named(label))]
            + [Cell(figure(subject.mean(label, metric, part))) for metric in known]
            for label in subject.labels
        ],
        folded=True,
    )
    return [Beside(main, _chart(subject, history_filter, main.id)), rest]


def _rows(subject: Subject, metrics: list[str], history_filter: str) -> list[list[Cell]]:
    part = f"{history_filter}/all"
    rows = [[Cell(subject.named(label))] for label in subject.labels]
    for metric in metrics:
        means = [subject.mean(label, metric, part) for label in subject.labels]
        for row, label, mean, mark in zip(rows, subject.labels, means, marks(means), strict=True):
            below = spread(
                subject.estimate(label, metric, part),
                subject.deviation(label, metric, part),
            )
            row.append(Cell(figure(mean), below if mean is not None else "", mark))
    for row, label in zip(rows, subject.labels, strict=True):
        row.append(Cell(figure(subject.data.on_validation(label))))
        row.append(Cell(str(len(subject.data.values(label, metrics[0], part)))))
    return rows


def _note(subject: Subject) -> str:
    said = "Sorted by " + metric_name(subject.metric) + " on validation."
    if any(subject.not_converged(label) for label in subject.labels):
        said += (
            " † not converged: training ended by its limit of epochs or hours, not by early "
            "stopping; no model is said to be better than such a one."
        )
    without = [found for label in subject.labels if (found := _why_no_error(subject, label))]
    return f"{said} No ±: {'; '.join(without)}." if without else said


def _why_no_error(subject: Subject, label: str) -> str:
    """``BPR:tuned (the users' ranks of seed 2021 are not kept)``; empty where there is one."""
    part = f"{subject.filters[0]}/all"
    if subject.estimate(label, subject.metric, part):
        return ""
    runs = subject.data.of(label)
    gone = [run.seed for run in runs if run.ranks is None]
    if len(gone) == len(runs):
        return f"{label} (no users' ranks are kept)"
    if gone:
        return f"{label} (the users' ranks of {seeds_said(gone)} are not kept)"
    if len({run.kept.users_digest for run in runs}) > 1:
        return f"{label} (its seeds were tested on different users)"
    return f"{label} (its ranks do not give {metric_name(subject.metric)})"


def _chart(subject: Subject, history_filter: str, table: str) -> Charts:
    part = f"{history_filter}/all"
    rows = []
    for label in subject.labels:
        mean = subject.mean(label, subject.metric, part)
        if mean is not None:
            found = subject.estimate(label, subject.metric, part)
            width = found.half_width if found else None
            rows.append((label, mean, width, subject.not_converged(label)))
    name = metric_name(subject.metric)
    chart = Chart(
        f"{table}-chart",
        f"{name}, {history_filter}, with 95% intervals over users",
        figures.intervals(rows, name, subject.styles),
        table,
        height=90 + 36 * len(rows),
    )
    return Charts([chart], note=HOLLOW if any(hollow for *_, hollow in rows) else "")


def _disagreements(subject: Subject) -> list[Block]:
    """Ranks and results.csv must say the same of the metric that intervals are shown for."""
    found = []
    for run in subject.data.runs:
        for history_filter in subject.filters:
            part = f"{history_filter}/all"
            said = subject.data.values(run.label, subject.metric, part).get(run.seed)
            values = run.kept.per_user(part, subject.metric)
            if values is None or said is None:
                continue
            if abs(values.mean() - said) > ROUNDING:
                found.append(f"{run.label}, seed {run.seed}, {history_filter}")
    if not found:
        return []
    return [
        missing(
            f"The ranks kept of these runs do not give the figures of results.csv, so remake it: "
            f"{'; '.join(found)}."
        )
    ]
