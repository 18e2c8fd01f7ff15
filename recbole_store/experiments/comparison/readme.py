"""The tables of a results folder in README."""

from __future__ import annotations

from pathlib import Path

from recbole_store.errors import SettingsError
from recbole_store.experiments.report.tables.layout import Table, as_markdown
from recbole_store.experiments.report.tables.tables import tables
from recbole_store.experiments.results.kept_run import KeptRun

MARKS = ("<!-- results -->", "<!-- end of results -->")
TRIAL_MARKS = ("<!-- trials -->", "<!-- end of trials -->")


def write_readme_tables(runs: list[KeptRun], trials: list[Table], readme: Path) -> None:
    """Put the tables between README's two ``results`` marks, and its ``trials`` marks, if any.

    Raises:
        SettingsError: the file cannot be read, or has no ``results`` marks.
    """
    try:
        text = readme.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise SettingsError(f"Cannot read {readme}: {error}.") from error
    written = between(text, MARKS, readme_text(tables(runs, slices=True)))
    if written is None:
        raise SettingsError(f"{readme} has no {MARKS[0]} ... {MARKS[1]}.")
    with_trials = between(written, TRIAL_MARKS, readme_text(trials))
    readme.write_text(written if with_trials is None else with_trials, encoding="utf-8")


def between(text: str, marks: tuple[str, str], content: str) -> str | None:
    """A text with other content between two marks; None where it lacks one of them."""
    before, start, rest = text.partition(marks[0])
    _, end, after = rest.partition(marks[1])
    return f"{before}{start}\n{content}\n{end}{after}" if start and end else None


def readme_text(found: list[Table]) -> str:
    """What stands between two marks."""
    return "\n\n".join(as_markdown(table) for table in found)
