"""How good they are for whom: slices of the test users, and cold items."""

from __future__ import annotations

import numpy as np

from recbole_store.report import figures
from recbole_store.report.blocks import (
    Beside,
    Block,
    Cell,
    Chart,
    Charts,
    Facts,
    Paragraph,
    Section,
    Table,
    missing,
)
from recbole_store.report.formats import (
    figure,
    metric_name,
    sentence,
    spread,
)
from recbole_store.report.sections.quality import ROUNDING, marks
from recbole_store.report.slice_users import slice_users
from recbole_store.report.subject import Subject

GROUPS = {
    "target": ("Popularity of the target", ("head", "mid", "tail")),
    "history": ("Length of the history", ("short", "medium", "long")),
}


def slices(subject: Subject) -> Section:
    """The valid metric by the target's popularity and the history's length."""
    blocks: list[Block] = []
    definitions = subject.fixed.get("slices", {})
    bounds = subject.protocol.get("slice_bounds", {})
    facts = [
        (title, f"{sentence(definitions[kind])} {_bounds(bounds, kind)}".strip())
        for kind, (title, _) in GROUPS.items()
        if kind in definitions
    ]
    for history_filter in subject.filters:
        for kind, (title, names) in GROUPS.items():
            parts = [f"{history_filter}/{kind}={name}" for name in names]
            if set(parts) & set(subject.data.slices()):
                blocks += _slice_blocks(subject, history_filter, kind, title, names)
    if not blocks:
        blocks = [missing("results.csv has no slices of this data set.")]
    elif facts:
        blocks.insert(0, Facts(facts))
    return Section(f"{subject.slug}-slices", "Slices", blocks)


def _bounds(bounds: dict[str, str], kind: str) -> str:
    """``Here: head at least 40 training interactions, mid at least 15, tail less than 15.``"""
    named = [
        f"{group.partition('=')[2]} {said}"
        for group, said in bounds.items()
        if group.startswith(f"{kind}=")
    ]
    return f"Here: {', '.join(named)}." if named else ""


def _slice_blocks(subject: Subject, history_filter, kind, title, names) -> list[Block]:
    means = {
        label: [
            subject.mean(label, subject.metric, f"{history_filter}/{kind}={name}") for name in names
        ]
        for label in subject.labels
    }
    intervals = {
        label: [
            _slice_interval(subject, label, history_filter, f"{kind}={name}", mean)
            for name, mean in zip(names, means[label], strict=True)
        ]
        for label in subject.labels
    }
    columns = [marks([means[label][n] for label in subject.labels]) for n in range(len(names))]
    metric = metric_name(subject.metric)
    table = Table(
        f"{subject.slug}-{history_filter}-{kind}",
        f"{title}: {metric}, {history_filter}",
        ["model", *[_with_users(subject, f"{kind}={name}", name) for name in names]],
        [
            [Cell(subject.named(label))]
            + [
                Cell(figure(mean), spread(found, None), columns[n][row])
                for n, (mean, found) in enumerate(zip(means[label], intervals[label], strict=True))
            ]
            for row, label in enumerate(subject.labels)
        ],
        folded=history_filter != subject.filters[0],
    )
    if table.folded:
        return [table]
    rows = [
        (label, means[label], [found.half_width if found else None for found in intervals[label]])
        for label in subject.labels
        if any(mean is not None for mean in means[label])
    ]
    drawn = figures.bars(list(names), rows, metric, subject.styles)
    chart = Chart(f"{table.id}-chart", f"{title}: {metric}, {history_filter}", drawn, table.id)
    return [Beside(table, Charts([chart], [label for label, *_ in rows]))]


def _users(subject: Subject, label: str, group: str) -> np.ndarray | None:
    run = subject.first_run(label)
    return slice_users(group, run.ranks) if run and run.ranks else None


def _slice_interval(subject: Subject, label: str, history_filter, group: str, mean):
    """The interval over a slice's users, if their mean is the one of results.csv."""
    users = _users(subject, label, group)
    if users is None or mean is None:
        return None
    found = subject.interval(label, subject.metric, history_filter, users)
    return found if found and abs(found.mean - mean) <= ROUNDING else None


def _with_users(subject: Subject, group: str, name: str) -> str:
    for label in subject.labels:
        users = _users(subject, label, group)
        if users is not None:
            return f"{name} ({int(users.sum()):,} users)"
    return name


def cold(subject: Subject) -> Section:
    """Items withheld from training."""
    names = [name for name in subject.data.slices() if name.startswith(("cold/", "warm/"))]
    if not names:
        said = "No run of this data set withheld items (cold_items)."
        return Section(f"{subject.slug}-cold", "Cold items", [missing(said)])
    metrics = dict.fromkeys(m for name in names for m in subject.data.metrics(name))
    rows = [
        [Cell(label), Cell(name)]
        + [Cell(figure(subject.mean(label, metric, name))) for metric in metrics]
        for name in names
        for label in subject.labels
        if any(subject.mean(label, metric, name) is not None for metric in metrics)
    ]
    table = Table(
        f"{subject.slug}-cold-table",
        "Means over seeds",
        ["model", "slice", *map(metric_name, metrics)],
        rows,
    )
    sizes = {
        f"{found['n_items']:,} items were withheld, the target of {found['n_users']:,} users."
        for run in subject.data.runs
        if (found := run.result.get("cold"))
    }
    said = (
        "cold/full ranks cold targets against the whole catalogue, cold/only among cold items; "
        "warm is users whose target was in training, before and after the cold items join."
    )
    blocks = [Paragraph(" ".join([*sorted(sizes), said])), table]
    return Section(f"{subject.slug}-cold", "Cold items", blocks)
