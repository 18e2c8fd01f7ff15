"""One planted comparison of two data sets, and its report; made once."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from planted_results import Planted
from read_page import Page

from recbole_store.experiments.report.page.data import Results, read_results
from recbole_store.experiments.report.page.page import page


class Report(NamedTuple):
    """The planted data sets, what was read of them, and the page."""

    films: Planted
    books: Planted
    results: Results
    html: str
    page: Page


@pytest.fixture(scope="session")
def report(tmp_path_factory) -> Report:
    """Films have everything; books have one seed and no run folders."""
    root = tmp_path_factory.mktemp("comparison")
    films = Planted(root)
    films.write()
    skill = {"STORE": 0.5, "SASRecAll": 0.7}
    books = Planted(root, "Books & <more>", 30, 20, (2020,), skill, without_folder=tuple(skill))
    books.write()
    results = read_results(films.results)
    html = page(results, "2026-11-22")
    return Report(films, books, results, html, Page(html))


@pytest.fixture
def planted_results(tmp_path) -> Planted:
    """A results folder of one's own, to be broken."""
    one = Planted(tmp_path, n_users=12, n_items=12, seeds=(2020,), skill={"STORE": 0.7, "Pop": 0.3})
    one.write()
    return one
