"""How good they are for whom: slices of the test users, and cold items."""

from __future__ import annotations

from recbole_store.experiments.report.page import figures
from recbole_store.experiments.report.page.blocks import (
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
from recbole_store.experiments.report.page.estimates import Estimate
from recbole_store.experiments.report.page.formats import figure, metric_name, sentence, spread
from recbole_store.experiments.report.page.glossary import WORDS
from recbole_store.experiments.report.page.sections.quality import ROUNDING, marks
from recbole_store.experiments.report.page.subject import Subject
from recbole_store.experiments.results.slices import DEFINITIONS

GROUPS = {
    "target": ("Popularity of the target", ("head", "mid", "tail")),
    "history": ("Length of the history", ("short", "medium", "long")),
}

# What the slices of cold items end in -> how these were ranked.
COLD_ENDINGS = {
    "reserved": " reserved keeps every tenth place for cold items.",
    "nearest": " nearest is no model: items near to the mean dense tokens of the last ones.",
}


def slices(subject: Subject) -> Section:
    """The valid metric by the target's popularity and the history's length."""
    blocks: list[Block] = []
    definitions = subject.fixed.get("slices", DEFINITIONS)
    bounds = subject.data.protocol.get("slice_bounds", {})
    facts = [
        (title, f"{sentence(definitions[kind])} {_bounds(bounds, kind)}".strip())
        for kind, (title, _) in GROUPS.items()
    ]
    for history_filter in subject.filters:
        for kind, (title, names) in GROUPS.items():
            parts = [f"{history_filter}/{kind}={name}" for name in names]
            if set(parts) & set(subject.data.slices()):
                blocks += _slice_blocks(subject, history_filter, kind, title, names)
    if not blocks:
        blocks = [missing("results.csv has no slices of these runs.")]
    else:
        facts.append(("Two tails", sentence(WORDS["tail"].removeprefix("Two things. "))))
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
    estimates = {
        label: [
            _estimate(subject, label, f"{history_filter}/{kind}={name}", mean)
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
                for n, (mean, found) in enumerate(zip(means[label], estimates[label], strict=True))
            ]
            for row, label in enumerate(subject.labels)
        ],
        note=subject.fewer_seeds(subject.metric, f"{history_filter}/{kind}={names[0]}"),
        folded=history_filter != subject.filters[0],
    )
    if table.folded:
        return [table]
    rows = [
        (label, means[label], [found.half_width if found else None for found in estimates[label]])
        for label in subject.labels
        if any(mean is not None for mean in means[label])
    ]
    drawn = figures.bars(list(names), rows, metric, subject.styles)
    said = f"{title}: {metric}, {history_filter}, with 95% intervals over users"
    chart = Chart(f"{table.id}-chart", said, drawn, table.id)
    return [Beside(table, Charts([chart], [label for label, *_ in rows]))]


def _estimate(subject: Subject, label: str, part: str, mean: float | None) -> Estimate | None:
    """Over a slice's users, if their mean is the one of results.csv."""
    found = None if mean is None else subject.estimate(label, subject.metric, part)
    return found if found and abs(found.mean - mean) <= ROUNDING else None


def _with_users(subject: Subject, group: str, name: str) -> str:
    """``head (210 users)``; without the number where no ranks are kept."""
    for run in subject.data.runs:
        if run.ranks is not None and group in run.kept.masks:
            return f"{name} ({int(run.kept.masks[group].sum()):,} users)"
    return name


def cold(subject: Subject) -> Section:
    """Items withheld from training."""
    names = [name for name in subject.data.slices() if name.startswith(("cold/", "warm/"))]
    if not names:
        said = "None of these runs withheld items (cold_items)."
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
    for ending, what in COLD_ENDINGS.items():
        said += what if any(name.endswith(f"/{ending}") for name in names) else ""
    blocks = [Paragraph(" ".join([*sorted(sizes), said])), table]
    return Section(f"{subject.slug}-cold", "Cold items", blocks)
