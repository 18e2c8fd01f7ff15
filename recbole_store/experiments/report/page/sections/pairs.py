"""Paired comparisons of models, and what they say of the two highest."""

from __future__ import annotations

from recbole_store.experiments.report.page.blocks import (
    Block,
    Cell,
    Paragraph,
    Section,
    Table,
    missing,
)
from recbole_store.experiments.report.page.formats import listed, metric_name, probability, signed
from recbole_store.experiments.report.page.subject import Subject, seeds_said
from recbole_store.experiments.results.significance import LEVEL, METRIC, Pair, of_label, reference


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
    for history_filter, metric, pair in subject.data.pairs:
        same = (history_filter, metric) == (subject.own_filter, subject.metric)
        if same and {pair.a, pair.b} == {best, following}:
            seeds = _seeds_said(subject, [best, following])
            return f"{said} {_difference_said(pair)} {seeds}".rstrip()
    if subject.not_converged(following):
        return f"{said} {following} had not converged, so {best} is not said to be better."
    return f"{said} The two are not paired, so neither is said to be better."


def _difference_said(pair: Pair) -> str:
    said = f"Paired by users they differ by {abs(pair.difference):.4f} ±{pair.standard_error:.4f}"
    if pair.verdict.startswith("no claim: "):
        better = pair.a if pair.difference > 0 else pair.b
        return f"{said}, but {pair.verdict[10:]}, so {better} is not said to be better."
    words = {"tie": "a tie", "unclear": "unclear, as so many pairs are tested"}
    return f"{said}: {words.get(pair.verdict, pair.verdict)}."


def pairs(subject: Subject) -> Section:
    """Every two labels over the same test users."""
    found, title = subject.data.pairs, "Paired comparisons"
    if not found:
        said = "No two models are paired: none have the ranks of the same test users, "
        said += "or each seed withheld other items."
        return Section(f"{subject.slug}-pairs", title, [missing(said)])
    said = (
        "The same test users under both models, each user's values averaged over the seeds that "
        "both have. ± is one standard error of the difference; below two of them it is a tie. No "
        "model is said to be better than one that had not converged. p is Holm's, corrected for "
        "the number of pairs of a metric and filter."
    )
    if any(pair.verdict == "unclear" for *_, pair in found):
        said += f" Unclear: no tie, but p is not below {LEVEL}."
    blocks: list[Block] = [Paragraph(said)]
    lacking = [_seeds_said(subject, subject.labels), _unpaired(subject)]
    blocks += [missing(text) for text in lacking if text]
    ranked = {label for *_, pair in found for label in (pair.a, pair.b)}
    first = reference([label for label in subject.labels if label in ranked])
    own = [one for one in found if one[:2] == (subject.own_filter, METRIC)]
    with_first = [(*one[:2], pair) for one in own for pair in of_label([one[-1]], first)]
    rest = [one for one in found if one not in own or first not in (one[-1].a, one[-1].b)]
    caption = f"{first} against the others: {metric_name(METRIC)}, {subject.own_filter}"
    blocks.append(_table(f"{subject.slug}-pairs-table", caption, with_first))
    if rest:
        caption = f"All other pairs, filters and metrics ({len(rest)})"
        blocks.append(_table(f"{subject.slug}-pairs-table-rest", caption, rest, folded=True))
    return Section(f"{subject.slug}-pairs", title, blocks)


def _table(table_id: str, caption: str, found: list[tuple[str, str, Pair]], folded=False) -> Table:
    header = ["model", "against", "verdict", *(["history", "metric"] if folded else [])]
    header += ["difference", "p", "users"]
    rows = []
    for history_filter, metric, pair in found:
        words = [pair.a, pair.b, pair.verdict]
        words += [history_filter, metric_name(metric)] if folded else []
        figures = [f"{signed(pair.difference)} ±{pair.standard_error:.4f}"]
        figures += [probability(pair.p_holm), f"{pair.n_users:,}"]
        rows.append([Cell(text) for text in words + figures])
    return Table(table_id, caption, header, rows, folded=folded)


def _seeds_said(subject: Subject, labels: list[str]) -> str:
    """Which of the labels are paired by some of their seeds only; empty if there are none."""
    found = []
    for label in labels:
        seeds = [run.seed for run in subject.data.of(label) if run.ranks is not None]
        gone = [run.seed for run in subject.data.of(label) if run.ranks is None]
        if seeds and gone:
            found.append(
                f"{label} is paired by {seeds_said(seeds)} alone: the users' ranks of "
                f"{seeds_said(gone)} are not kept, though its mean is over all."
            )
    return " ".join(found)


def _unpaired(subject: Subject) -> str:
    """Which labels and seeds stand in no pair with the others, and why."""
    _, *others = subject.data.tested_alike or [[]]
    elsewhere = [f"{kept.label}, seed {kept.run.seed}" for runs in others for kept in runs]
    ranked = {kept.label for runs in subject.data.tested_alike for kept in runs}
    gone = [label for label in subject.labels if label not in ranked]
    said = f"Not paired, as no users' ranks are kept: {listed(gone)}." if gone else ""
    if elsewhere:
        said += f" Tested on other users or targets than the rest: {'; '.join(elsewhere)}."
    return said.strip()
