"""How the models were trained: learning curves, and time against quality."""

from __future__ import annotations

import numpy as np

from recbole_store.experiments.report.page import figures
from recbole_store.experiments.report.page.blocks import (
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
    NONE,
    count,
    figure,
    listed,
    metric_name,
    minutes,
)
from recbole_store.experiments.report.page.machines import times_said
from recbole_store.experiments.report.page.subject import FILTERS, HOLLOW, Subject
from recbole_store.experiments.results.run_key import Run


def curve_of(run: Run) -> list[tuple[int, float, float]]:
    """(epoch from 1, minutes since training began, valid score) of each evaluation.

    The minutes include evaluations and, first of all, the tokenizer's stage.
    """
    seconds = run.result.get("store", {}).get("tokenizer_s") or 0.0
    points = []
    for row in run.result.get("curve", []):
        seconds += row["train_s"] + row.get("valid_s", 0.0)
        if row.get("valid_score") is not None:
            points.append((row["epoch"] + 1, seconds / 60, row["valid_score"]))
    return points


def curves(subject: Subject) -> Section:
    """The valid metric by epoch and by minutes."""
    title, metric = "Learning curves", metric_name(subject.metric)
    found = [(run, curve_of(run)) for label in subject.labels for run in subject.data.of(label)]
    drawn = [(run, points) for run, points in found if points]
    if not drawn:
        said = "No run of this data set kept a learning curve."
        return Section(f"{subject.slug}-curves", title, [missing(said)])
    table = Table(
        f"{subject.slug}-curves-table",
        f"{metric} on validation",
        ["model", "seed", "evaluations", "best epoch", "best", "last", "minutes", "ended by"],
        [[Cell(run.label), *_summary(run, points)] for run, points in drawn],
    )
    every = Table(
        f"{subject.slug}-curves-every",
        f"{metric} on validation, every evaluation",
        ["model", "seed", "epoch: value"],
        [
            [
                Cell(run.label),
                Cell(str(run.seed)),
                Cell(", ".join(f"{e}: {y:.4f}" for e, _, y in points)),
            ]
            for run, points in drawn
        ],
        folded=True,
        wide=True,
    )
    learning = [(run, points) for run, points in drawn if run.is_trained]
    charts = [
        Chart(
            f"{subject.slug}-curves-{name}",
            f"{metric} on validation by {said}",
            figures.curves(
                [
                    (run.label, run.seed, [p[x] for p in points], [p[2] for p in points])
                    for run, points in learning
                ],
                x_title,
                metric,
                subject.styles,
                by_time=name == "minutes",
            ),
            table.id,
        )
        for x, name, x_title, said in (
            (0, "epochs", "epochs", "epoch"),
            (1, "minutes", "minutes", "minutes of training"),
        )
        if learning
    ]
    without = [run.label for run, points in found if not points]
    labels = list(dict.fromkeys(run.label for run, _ in learning))
    said = "Minutes include evaluation and, for models with semantic IDs, the tokenizer's stage."
    if without:
        said += f" No evaluation while training: {listed(list(dict.fromkeys(without)))}."
    shown = [Charts(charts, labels)] if charts else []
    return Section(f"{subject.slug}-curves", title, [Paragraph(said), *shown, table, every])


def _summary(run: Run, points: list[tuple[int, float, float]]) -> list[Cell]:
    best = max(points, key=lambda point: point[2])
    ended = {True: "early stopping", False: "its limit †", None: NONE}[run.converged]
    if not run.is_trained:
        ended = "no training"
    cells = [str(run.seed), str(len(points)), str(best[0]), figure(best[2])]
    cells += [figure(points[-1][2]), minutes(60 * points[-1][1]), ended]
    return [Cell(text) for text in cells]


def speed(subject: Subject) -> Section:
    """Time of training and of recommending, against the valid metric on the test users."""
    metric, part = metric_name(subject.metric), f"{subject.own_filter}/all"
    quality = {label: subject.mean(label, subject.metric, part) for label in subject.labels}
    fit = {label: subject.mean(label, "fit_s") for label in subject.labels}
    test = {label: _per_thousand(subject, label) for label in subject.labels}
    table = Table(
        f"{subject.slug}-speed-table",
        f"Means over seeds; {metric} {subject.own_filter}: {FILTERS[subject.own_filter]}",
        ["model", metric, "training, min", "epochs", "test, s per 1,000 users"]
        + ["trained parameters", "peak memory, GB"],
        [
            [Cell(subject.named(label)), Cell(figure(quality[label])), Cell(minutes(fit[label]))]
            + [Cell(text) for text in _costs(subject, label, test[label])]
            for label in subject.labels
        ],
    )
    charts = [
        Chart(
            f"{subject.slug}-speed-{name}",
            f"{metric} against {x_title}",
            figures.points(rows, x_title, metric, subject.styles),
            table.id,
        )
        for name, x_title, rows in (
            ("training", "minutes of training", _points(subject, fit, quality, 60)),
            ("test", "test, seconds per 1,000 users", _points(subject, test, quality, 1)),
        )
        if rows
    ]
    blocks: list[Block] = [Paragraph(times_said(subject.data.runs)), table]
    if charts:
        drawn = [label for label in subject.labels if fit[label] or test[label]]
        cut_short = any(subject.not_converged(label) for label in drawn)
        blocks.insert(1, Charts(charts, drawn, HOLLOW if cut_short else ""))
    else:
        blocks.insert(1, missing("results.csv has no times of this data set."))
    return Section(f"{subject.slug}-speed", "Speed against quality", blocks)


def _points(subject: Subject, times: dict, quality: dict, divisor: float) -> list[tuple]:
    return [
        (label, seconds / divisor, quality[label], subject.not_converged(label))
        for label, seconds in times.items()
        if seconds and quality[label] is not None
    ]


def _per_thousand(subject: Subject, label: str) -> float | None:
    seconds = subject.mean(label, "test_s")
    run = subject.first_run(label)
    n_test = run.result["protocol"].get("n_test")
    return None if seconds is None or not n_test else 1000 * seconds / n_test


def _costs(subject: Subject, label: str, test_s: float | None) -> list[str]:
    sizes = [run.result.get("sizes", {}) for run in subject.data.of(label)]
    epochs = [run.result.get("times", {}).get("epochs") for run in subject.data.of(label)]

    def mean(values: list) -> float | None:
        values = [value for value in values if value is not None]
        return float(np.mean(values)) if values else None

    trained = mean([size.get("trained_parameters") for size in sizes])
    memory, n_epochs = mean([size.get("peak_memory_gb") for size in sizes]), mean(epochs)
    if not subject.is_trained(label):  # one pass, and RecBole counts a parameter that does nothing
        trained = n_epochs = None
    return [
        NONE if n_epochs is None else f"{n_epochs:.4g}",
        NONE if test_s is None else f"{test_s:.2f}",
        count(trained),
        NONE if memory is None else f"{memory:.1f}",
    ]
