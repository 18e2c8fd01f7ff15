"""How good the recommendations are: the main table, pairs, slices and cold items."""

from __future__ import annotations

import numpy as np
import pandas as pd

from recbole_store.report import figures
from recbole_store.report.blocks import (
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
from recbole_store.report.estimates import per_user
from recbole_store.report.formats import (
    figure,
    is_missing,
    listed,
    metric_name,
    probability,
    spread,
)
from recbole_store.report.slice_users import slice_users
from recbole_store.report.subject import FILTERS, Subject

MAIN = ("ndcg", "recall", "mrr")  # with one target, Hit is Recall and Precision is Recall / k
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
    blocks: list[Block] = []
    for history_filter in subject.filters:
        blocks += _one_filter(subject, history_filter)
    if not blocks:
        blocks = [missing("results.csv has no figures over all test users of this data set.")]
    blocks += _disagreements(subject)
    return Section(f"{subject.slug}-results", "Results", blocks)


def _one_filter(subject: Subject, history_filter: str) -> list[Block]:
    part, cutoff = f"{history_filter}/all", subject.metric.partition("@")[2]
    known = [m for m in subject.data.metrics(part) if m != "n_users"]
    metrics = [f"{name}@{cutoff}" for name in MAIN if f"{name}@{cutoff}" in known] or known
    own = " Epochs were chosen this way." if history_filter == subject.own_filter else ""
    main = Table(
        f"{subject.slug}-{history_filter}",
        f"{history_filter.capitalize()}: {FILTERS[history_filter]}.{own}",
        ["model", "seeds", *map(metric_name, metrics)],
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
    return [main, _chart(subject, history_filter, main.id), rest]


def _rows(subject: Subject, metrics: list[str], history_filter: str) -> list[list[Cell]]:
    part = f"{history_filter}/all"
    rows = [
        [Cell(subject.named(label)), Cell(str(len(subject.data.values(label, metrics[0], part))))]
        for label in subject.labels
    ]
    for metric in metrics:
        means = [subject.mean(label, metric, part) for label in subject.labels]
        for row, label, mean, mark in zip(rows, subject.labels, means, marks(means), strict=True):
            below = spread(
                subject.interval(label, metric, history_filter),
                subject.deviation(label, metric, part),
            )
            row.append(Cell(figure(mean), below if mean is not None else "", mark))
    return rows


def _note(subject: Subject) -> str:
    said = "Sorted by " + metric_name(subject.metric) + " on validation."
    if any(subject.not_converged(label) for label in subject.labels):
        said += (
            " † not converged: training ended by its limit of epochs or hours, not by early "
            "stopping; nothing is claimed over such a model."
        )
    without = [
        label
        for label in subject.labels
        if subject.filters and subject.interval(label, subject.metric, subject.filters[0]) is None
    ]
    if without:
        said += f" No interval where no run kept the users' ranks: {listed(without)}."
    return said


def _chart(subject: Subject, history_filter: str, table: str) -> Charts:
    rows = []
    for label in subject.labels:
        mean = subject.mean(label, subject.metric, f"{history_filter}/all")
        if mean is not None:
            found = subject.interval(label, subject.metric, history_filter)
            rows.append((label, mean, found.half_width if found else None))
    name = metric_name(subject.metric)
    chart = Chart(
        f"{table}-chart",
        f"{name}, {history_filter}, with 95% intervals over users",
        figures.intervals(rows, name, subject.styles),
        table,
        height=90 + 36 * len(rows),
    )
    return Charts([chart])


def _disagreements(subject: Subject) -> list[Block]:
    """Ranks and results.csv must say the same of the metric that intervals are shown for."""
    found = []
    for run in subject.data.runs:
        for history_filter in subject.filters:
            part = f"{history_filter}/all"
            t = subject.data.table
            chosen = (t["label"] == run.label) & (t["seed"] == run.seed) & (t["slice"] == part)
            listed_value = t.loc[chosen & (t["metric"] == subject.metric), "value"]
            if run.ranks is None or listed_value.empty:
                continue
            values = per_user(subject.metric, run.ranks[f"ranks_{history_filter}"])
            if values is not None and abs(values.mean() - listed_value.iloc[0]) > ROUNDING:
                found.append(f"{run.label}, seed {run.seed}, {history_filter}")
    if not found:
        return []
    return [
        missing(
            f"The ranks kept of these runs do not give the figures of results.csv, so remake it: "
            f"{'; '.join(found)}."
        )
    ]


def pairs(subject: Subject) -> Section:
    """Paired comparisons, as the comparison computed them."""
    found, title = subject.data.pairs, "Paired comparisons"
    if found is None or found.empty:
        said = "The results folder has no paired comparisons (pairs.csv) of this data set."
        return Section(f"{subject.slug}-pairs", title, [missing(said)])
    slices = [f"{name}/all" for name in subject.filters]
    main = found[(found["metric"] == subject.metric) & found["slice"].isin(slices[:1])]
    rest = found.drop(main.index)
    blocks: list[Block] = [
        Paragraph(
            "The same test users under both models. A difference below two of its standard errors "
            "is called a tie."
        )
    ]
    for name, table, folded in (("", main, False), ("-rest", rest, True)):
        if len(table):
            blocks.append(_pair_table(f"{subject.slug}-pairs-table{name}", table, folded))
    return Section(f"{subject.slug}-pairs", title, blocks)


def _pair_table(table_id: str, found: pd.DataFrame, folded: bool) -> Table:
    one = len(found[["slice", "metric"]].drop_duplicates()) == 1
    caption = "Other slices and metrics"
    if one:
        caption = f"{metric_name(found['metric'].iloc[0])}, {found['slice'].iloc[0]}"
    header = ([] if one else ["slice", "metric"]) + ["a", "b"]
    rows = []
    for row in found.to_dict("records"):
        names = [] if one else [Cell(row["slice"]), Cell(metric_name(row["metric"]))]
        cells = [Cell(row["a"]), Cell(row["b"]), Cell(verdict(row))]
        cells += [Cell(f"{row['difference']:+.4f}"), Cell(f"{row['standard_error']:.4f}")]
        rows.append([*names, *cells, Cell(probability(row["p"])), Cell(f"{row['n_users']:,.0f}")])
    header += ["verdict", "a − b", "standard error", "p", "users"]
    return Table(table_id, caption, header, rows, folded=folded)


def verdict(pair: dict) -> str:
    """``tie`` below two standard errors, else which of the two is ahead."""
    if not abs(pair["difference"]) >= 2 * pair["standard_error"]:
        return "tie"
    return f"{pair['a'] if pair['difference'] > 0 else pair['b']} ahead"


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
        (title, f"{definitions[kind]}. {_bounds(bounds, kind)}".strip())
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
        blocks.append(Facts(facts))
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
    return [table, Charts([chart], [label for label, *_ in rows])]


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
        "cold/full: against the whole catalogue; cold/only: among cold items; warm: users whose "
        "target was in training",
        ["model", "slice", *map(metric_name, metrics)],
        rows,
    )
    sizes = {
        (cold["n_items"], cold["n_users"])
        for run in subject.data.runs
        if (cold := run.result.get("cold"))
    }
    said = [
        f"{n_items:,} cold items, the target of {n_users:,} test users"
        for n_items, n_users in sorted(sizes)
    ]
    return Section(
        f"{subject.slug}-cold",
        "Cold items",
        [*([Paragraph(f"{'; '.join(said)}.")] if said else []), table],
    )
