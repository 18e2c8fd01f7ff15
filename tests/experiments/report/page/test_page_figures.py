"""Tables and charts show the figures of results.csv, and the marks that belong to them."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
from planted_results import Planted
from read_page import Page

from recbole_store.experiments.report.page.data import read_results
from recbole_store.experiments.report.page.page import page
from recbole_store.experiments.report.tables.published import published_figures

SLUGS = {"films": "ml-planted", "books": "books-more"}


def means(planted) -> pd.Series:
    """(label, slice, metric) -> mean over seeds, straight from the file."""
    table = pd.read_csv(planted.results / "results.csv", keep_default_na=False)
    table = table[table["dataset"] == planted.dataset]
    label = table["model"] + table["variant"].map(lambda name: f":{name}" if name else "")
    return table["value"].groupby([label, table["slice"], table["metric"]]).mean()


def plain(label: str) -> str:
    """A row's header without its mark."""
    return label.removesuffix(" †")


@pytest.mark.parametrize("which", ["films", "books"])
@pytest.mark.parametrize("history_filter", ["unfiltered", "filtered"])
def test_the_main_tables_are_those_of_the_csv(report, which, history_filter):
    planted, expected = getattr(report, which), means(getattr(report, which))
    for metric in ("NDCG@10", "Recall@10", "MRR@10"):
        shown = report.page.column(f"{SLUGS[which]}-{history_filter}", metric)
        assert {plain(label) for label in shown} == set(planted.skill)
        for label, text in shown.items():
            value = expected[plain(label), f"{history_filter}/all", metric.lower()]
            assert text == f"{value:.4f}", (label, metric)


def test_every_metric_of_ranks_is_in_the_folded_table(report):
    expected = means(report.films)
    header = report.page.tables["ml-planted-unfiltered-every-metric"][0]
    assert len(header) == 1 + 9  # three metrics at three cut-offs
    for name in header[1:]:
        metric = name.lower()
        shown = report.page.column("ml-planted-unfiltered-every-metric", name)
        for label, text in shown.items():
            assert text == f"{expected[plain(label), 'unfiltered/all', metric]:.4f}"


@pytest.mark.parametrize("kind", ["target", "history"])
def test_the_slices_are_those_of_the_csv(report, kind):
    expected = means(report.films)
    table = report.page.tables[f"ml-planted-unfiltered-{kind}"]
    assert len(table) == 1 + 4 and len(table[0]) == 4
    for column, head in enumerate(table[0][1:], 1):
        name, n_users = re.fullmatch(r"(\w+) \((\d+) users\)", head).groups()
        part = f"unfiltered/{kind}={name}"
        assert int(n_users) == expected["STORE", part, "n_users"]
        for row in table[1:]:
            assert row[column] == f"{expected[plain(row[0]), part, 'ndcg@10']:.4f}"


def test_below_each_mean_stand_its_error_and_its_spread(report):
    """Two seeds have a spread, one has none."""
    for row in report.page.small["ml-planted-unfiltered"][1:]:
        assert all(re.fullmatch(r"±0\.\d{4} · sd 0\.\d{4}", text) for text in row[1:4]), row
    for row in report.page.small["books-more-unfiltered"][1:]:
        assert all(re.fullmatch(r"±0\.\d{4}", text) for text in row[1:4]), row


def test_plus_minus_is_one_standard_error_and_says_so(report):
    """As in README and the console; the charts' intervals are of 95%, and say that."""
    films = report.films
    ranks = [films.ranks("STORE", seed, "unfiltered") for seed in films.seeds]
    hits = np.mean([(r > 0) & (r <= 10) for r in ranks], axis=0)
    error = hits.std(ddof=1) / np.sqrt(len(hits))
    header, *_ = report.page.tables["ml-planted-unfiltered"]
    rows = zip(
        report.page.tables["ml-planted-unfiltered"],
        report.page.small["ml-planted-unfiltered"],
        strict=True,
    )
    (below,) = [small for row, small in rows if row[0] == "STORE"]
    assert below[header.index("Recall@10")].startswith(f"±{error:.4f} ")
    assert "± is one standard error over test users" in " ".join(report.page.texts["dd"])
    titles = [text for text in report.page.texts["figcaption"] if "NDCG@10, " in text]
    assert len(titles) == 2 * 4 and all("95% intervals over users" in text for text in titles)


def test_slices_have_errors(report):
    for kind in ("target", "history"):
        rows = report.page.small[f"ml-planted-filtered-{kind}"][1:]
        assert all(re.fullmatch(r"±0\.\d{4}", text) for row in rows for text in row[1:]), rows


def test_the_charts_hold_the_figures_of_their_tables(report):
    shown = report.page.column("ml-planted-unfiltered", "NDCG@10")
    spec = json.loads(report.page.scripts["ml-planted-unfiltered-chart-data"])
    drawn = {trace["name"]: f"{trace['x'][0]:.4f}" for trace in spec["data"]}
    assert drawn == {plain(label): text for label, text in shown.items()}
    assert [t["name"] for t in spec["data"] if t["marker"]["symbol"].endswith("-open")] == [
        "STORE:without_alignment"
    ]


@pytest.mark.parametrize("table", ["ml-planted-unfiltered", "books-more-filtered-target"])
def test_best_and_second_best_of_each_column_are_marked(report, table):
    _, *rows = report.page.tables[table]
    _, *classes = report.page.classes[table]
    for column in (1, 2, 3):
        ranking = sorted({float(row[column]) for row in rows}, reverse=True)
        expected = {f"{ranking[0]:.4f}": "best", f"{ranking[1]:.4f}": "second"}
        for row, marks in zip(rows, classes, strict=True):
            assert marks[column] == expected.get(row[column], "")


def test_learning_curves_and_their_table(report):
    rows = report.page.tables["ml-planted-curves-table"][1:]
    assert len(rows) == 4 * 2
    ended = {row[0]: row[-1] for row in rows}
    assert ended["STORE:without_alignment"] == "its limit †" and ended["STORE"] == "early stopping"
    assert ended["Pop"] == "no training"
    spec = json.loads(report.page.scripts["ml-planted-curves-minutes-data"])
    store = next(trace for trace in spec["data"] if trace["name"] == "STORE")
    # a minute for the tokenizer, then 40 s of training and 2 s of evaluation an epoch
    assert store["x"][:2] == [1.7, 2.4] and spec["layout"]["xaxis"]["type"] == "log"


def test_times(report):
    expected = means(report.films)
    table = "ml-planted-speed-table"
    for label, text in report.page.column(table, "training, min").items():
        assert text == f"{expected[plain(label), '', 'fit_s'] / 60:.1f}"
    for label, text in report.page.column(table, "test, s per 1,000 users").items():
        assert text == f"{expected[plain(label), '', 'test_s'] * 1000 / 60:.2f}", "of 60 users"


def test_what_trains_nothing_has_neither_epochs_nor_trained_parameters(report):
    for name in ("epochs", "trained parameters"):
        shown = report.page.column("ml-planted-speed-table", name)
        assert shown["Pop"] == "–" and shown["STORE"] != "–"


def test_curves_are_of_what_learns(report):
    spec = json.loads(report.page.scripts["ml-planted-curves-epochs-data"])
    assert {trace["name"] for trace in spec["data"]} == set(report.films.skill) - {"Pop"}


def test_figures_of_the_catalogue(report):
    """Counts are counts, each kind of figure has a table, and what has no meaning is left out."""
    tables = report.page.tables
    header, store, *_ = tables["ml-planted-semantic-ids"]
    assert header == ["model", "collision rate", "utilisation", "distinct", "dead codes"]
    assert store == ["STORE", "0.2500", "1.0000", "30", "0"]
    assert tables["ml-planted-search"][1:] == [["STORE:without_alignment", "0.2500"]]
    assert tables["ml-planted-lists"][1][-2] == "184.8" and len(tables["ml-planted-lists"][0]) == 3


def test_published_figures_have_a_table_of_their_own(report, tmp_path):
    assert "ml-planted-published" not in report.page.tables
    results = Planted(tmp_path, dataset="Beauty").write()
    header, *rows = Page(page(read_results(results), "today")).tables["beauty-published"]
    assert header[-2:] == ["Recall@10", "NDCG@10"]
    expected = {e["model"]: f"{e['recall@10']:.4f}" for e in published_figures("Beauty")}
    assert {row[0]: row[-2] for row in rows} == expected
    assert [row[-1] for row in rows].count("–") == 1


def test_published_figures_do_not_stand_beside_a_draw_of_cold_items(tmp_path):
    """Nobody else withholds these items, so nothing compares."""
    planted = Planted(tmp_path, dataset="Beauty")
    results = planted.write()
    for label in planted.skill:
        for seed in planted.seeds:
            planted.change(label, seed, hashed_settings={"cold_items": 0.05})
    tables = Page(page(read_results(results), "today")).tables
    assert "beauty-cold-table" in tables and "beauty-published" not in tables
