"""One planted comparison of two data sets, and its report; made once."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from planted_results import Planted, page_of
from read_page import Page

from recbole_store.experiments.results.kept_run import KeptRun
from recbole_store.experiments.results.results_folder import read_runs


class Report(NamedTuple):
    """The planted data sets, their runs, and the page."""

    films: Planted
    books: Planted
    runs: list[KeptRun]
    html: str
    page: Page


@pytest.fixture(scope="session")
def report(tmp_path_factory) -> Report:
    """Films have everything; books have one seed and no examples."""
    root = tmp_path_factory.mktemp("comparison")
    films = Planted(root)
    films.write()
    skill = {"STORE": 0.5, "SASRecAll": 0.7}
    books = Planted(root, "Books & <more>", 30, 20, (2020,), skill, with_examples=False)
    books.write()
    html = page_of(films)
    return Report(films, books, read_runs(films.results), html, Page(html))
