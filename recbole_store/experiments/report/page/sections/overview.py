"""What was compared, how to read it, and what the figures are: the frame of all chapters."""

from __future__ import annotations

import re

from recbole_store.experiments.report.page.blocks import Facts, Section
from recbole_store.experiments.report.page.data import Results
from recbole_store.experiments.report.page.formats import listed
from recbole_store.experiments.report.page.glossary import anchor, terms
from recbole_store.experiments.report.page.machines import machines_said
from recbole_store.experiments.report.page.subject import Subject


def title(results: Results) -> str:
    """``Recommenders compared on ml-100k and Beauty``"""
    return f"Recommenders compared on {listed(results.datasets)}"


def heading(results: Results, made: str) -> Facts:
    """What was compared, when and with which code."""
    runs = results.runs
    commits = list(dict.fromkeys(filter(None, (run.result.get("git_commit") for run in runs))))
    seeds = [str(seed) for seed in sorted({run.seed for run in runs})]
    days = sorted({day for run in runs if (day := started(run.result.get("run_dir") or ""))})
    span = f"{days[0]} to {days[-1]}" if len(days) > 1 else days[0] if days else "not recorded"
    facts = [
        ("Data sets", ", ".join(results.datasets)),
        ("Seeds", ", ".join(seeds)),
        ("Runs", f"{len(runs)}, started {span}" if days else f"{len(runs)}, start {span}"),
        ("Commits" if len(commits) > 1 else "Commit", ", ".join(commits) or "not recorded"),
        ("Machines", machines_said(runs)),
        ("Report made", made),
    ]
    if results.without_result:
        said = f"results.csv has figures of {listed(results.without_result)}, but their result "
        facts.append(("Not shown", said + "files are gone."))
    return Facts(facts)


def started(run_dir: str) -> str | None:
    """The day in a run folder's name: ``saved/Pop-ml-100k-seed2020-20261122-165520``."""
    found = re.search(r"-(\d{4})(\d\d)(\d\d)-\d{6}(-\d+)?$", run_dir)
    return "-".join(found.groups()[:3]) if found else None


READING = [
    (
        "Means and errors",
        "A figure is the mean over seeds. ± is one standard error over test users: of the users' "
        "values, each averaged over the seeds. sd is the standard deviation over seeds. The error "
        "says how far other users of the same kind might move the figure; whether two models "
        "differ is for the paired comparison to say. Intervals in charts are of 95%: 1.96 standard "
        "errors to either side.",
    ),
    (
        "Best and second best",
        "Best in bold on a tint, second best underlined, as far as the four decimals tell them "
        "apart. Neither mark says that the difference is larger than chance.",
    ),
]


def reading() -> Section:
    """How the tables are to be read."""
    return Section("reading", "How to read the tables", [Facts(READING)])


def glossary(subjects: list[Subject]) -> Section:
    """What the figures of the tables are."""
    metrics = {
        metric.partition("@")[0]
        for subject in subjects
        for part in ("", *subject.data.slices())
        for metric in subject.data.metrics(part)
    }
    pairs = terms(metrics)
    return Section(
        "terms", "Figures and terms", [Facts(pairs, {term: anchor(term) for term, _ in pairs})]
    )
