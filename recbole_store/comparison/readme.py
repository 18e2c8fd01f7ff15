"""The tables of a results folder in README."""

from __future__ import annotations

from pathlib import Path

from recbole_store.comparison.kept_run import KeptRun
from recbole_store.comparison.layout import as_markdown
from recbole_store.comparison.tables import tables
from recbole_store.property_files import SettingsError

MARKS = ("<!-- results -->", "<!-- end of results -->")


def write_readme_tables(runs: list[KeptRun], readme: Path) -> None:
    """Put the tables between README's two ``results`` marks.

    Raises:
        SettingsError: the file cannot be read, or has no such marks.
    """
    try:
        text = readme.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"Cannot read {readme}: {error.strerror}.") from error
    before, start, rest = text.partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if not start or not end:
        raise SettingsError(f"{readme} has no {MARKS[0]} ... {MARKS[1]}.")
    readme.write_text(f"{before}{start}\n{readme_text(runs)}\n{end}{after}", encoding="utf-8")


def readme_text(runs: list[KeptRun]) -> str:
    """What stands between README's marks."""
    return "\n\n".join(as_markdown(table) for table in tables(runs))
