"""How good the recommendations are: the main table and paired comparisons."""

from __future__ import annotations

import pandas as pd

from recbole_store.comparison.published import HEADER, NOTE, published_rows
from recbole_store.report import figures
from recbole_store.report.blocks import (
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
from recbole_store.report.formats import (
    figure,
    is_missing,
    listed,
    metric_name,
    probability,
    signed,
    spread,
)
from recbole_store.report.subject import FILTERS, HOLLOW, Subject

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


def lead(subject: Subject) -> str:
    """The two highest means of the valid metric, and what may be said of their difference."""
    part = f"{subject.own_filter}/all"
    means = {label: subject.mean(label, subject.metric, part) for label in subject.labels}
    ranking = sorted((m, label) for label, m in means.items() if m is not None)[::-1]
    if len(ranking) < 2:
        return ""
    (best_mean, best), (next_mean, following) = ranking[:2]
    said = (
        f"Highest {metric_name(subject.metric)} on test, {subject.own_filter}: {best} with "
        f"{best_mean:.4f}, then {following} with {next_mean:.4f}."
    )
    cut_short = [label for label in (best, following) if subject.not_converged(label)]
    if cut_short:
        return f"{said} Nothing is claimed: {listed(cut_short)} had not converged."
    if subject.data.pairs is not None:
        for pair in subject.data.pairs.to_dict("records"):
            same = (pair["slice"], pair["metric"]) == (part, subject.metric)
            if same and {pair["a"], pair["b"]} == {best, following}:
                error = f"{abs(pair['difference']):.4f} at a standard error of"
                said += f" They differ by {error} {pair['standard_error']:.4f}: {verdict(pair)}."
    return said


def _one_filter(subject: Subject, history_filter: str) -> list[Block]:
    part, cutoff = f"{history_filter}/all", subject.metric.partition("@")[2]
    known = [m for m in subject.data.metrics(part) if m != "n_users"]
    metrics = [f"{name}@{cutoff}" for name in MAIN if f"{name}@{cutoff}" in known] or known
    own = " Epochs were chosen this way." if history_filter == subject.own_filter else ""
    main = Table(
        f"{subject.slug}-{history_filter}",
        f"{history_filter.capitalize()}: {FILTERS[history_filter]}.{own}",
        ["model", *map(metric_name, metrics), "seeds"],
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
                subject.interval(label, metric, history_filter),
                subject.deviation(label, metric, part),
            )
            row.append(Cell(figure(mean), below if mean is not None else "", mark))
    for row, label in zip(rows, subject.labels, strict=True):
        row.append(Cell(str(len(subject.data.values(label, metrics[0], part)))))
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
            t = subject.data.table
            chosen = (t["label"] == run.label) & (t["seed"] == run.seed) & (t["slice"] == part)
            listed_value = t.loc[chosen & (t["metric"] == subject.metric), "value"]
            values = run.kept.per_user(part, subject.metric)
            if values is None or listed_value.empty:
                continue
            if abs(values.mean() - listed_value.iloc[0]) > ROUNDING:
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
    own = (found["metric"] == subject.metric) & (found["slice"] == f"{subject.own_filter}/all")
    first = subject.labels[0]
    with_first = found[own & ((found["a"] == first) | (found["b"] == first))].copy()
    turned = with_first["b"] == first  # so that the first stands on one side
    with_first.loc[turned, ["a", "b"]] = with_first.loc[turned, ["b", "a"]].values
    with_first.loc[turned, "difference"] *= -1
    said = (
        "The same test users under both models, each user's values averaged over the seeds. A "
        "difference below two of its standard errors is called a tie."
    )
    if "p_holm" in found:
        said += " p is Holm's, corrected for the number of pairs."
    blocks: list[Block] = [Paragraph(said)]
    if len(with_first):
        caption = (
            f"{first}, the first by validation, against the others: {metric_name(subject.metric)}, "
            f"{subject.own_filter}"
        )
        blocks.append(_pair_table(f"{subject.slug}-pairs-table", caption, with_first))
    rest = found.drop(with_first.index)
    if len(rest):
        rest_id = f"{subject.slug}-pairs-table-rest"
        blocks.append(_pair_table(rest_id, f"{len(rest)} other pairs", rest, folded=True))
    return Section(f"{subject.slug}-pairs", title, blocks)


def _pair_table(table_id: str, caption: str, found: pd.DataFrame, folded: bool = False) -> Table:
    rows = []
    for pair in found.to_dict("records"):
        figures_of = [signed(pair["difference"]), f"{pair['standard_error']:.4f}"]
        figures_of += [probability(pair.get("p_holm", pair["p"])), f"{pair['n_users']:,.0f}"]
        words = [pair["a"], pair["b"], verdict(pair)]
        if folded:
            words += [pair["slice"].partition("/")[0], metric_name(pair["metric"])]
        rows.append([Cell(text) for text in words + figures_of])
    header = ["a", "b", "verdict", *(["history", "metric"] if folded else [])]
    header += ["a − b", "standard error", "p", "users"]
    return Table(table_id, caption, header, rows, folded=folded)


def verdict(pair: dict) -> str:
    """The comparison's own; without one ``tie`` below two standard errors, else who is ahead."""
    if pair.get("verdict"):
        return pair["verdict"]
    if not abs(pair["difference"]) >= 2 * pair["standard_error"]:
        return "a tie"
    return f"{pair['a'] if pair['difference'] > 0 else pair['b']} is ahead"
