"""The page as a whole: its figures are results.csv's, it loads nothing, no text becomes markup."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest

from recbole_store.comparison.published import published_figures
from recbole_store.report.data import read_results
from recbole_store.report.page import page, slugs, subjects_of
from report.planted_results import UGLY_TITLES, Planted
from report.read_page import Page

SECTIONS = ("protocol", "results", "pairs", "slices", "cold", "curves", "speed", "catalogue")
SECTIONS += ("map", "users")
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


def test_every_section_is_there_and_in_the_contents(report):
    ids = report.page.attributes("id")
    links = [href for href in report.page.attributes("href") if href.startswith("#")]
    assert len(ids) == len(set(ids))
    assert {href[1:] for href in links} <= set(ids)
    for slug in SLUGS.values():
        assert {f"#{slug}-{name}" for name in SECTIONS} < set(links)


def test_every_reference_between_elements_leads_somewhere(report):
    ids = set(report.page.attributes("id"))
    for name in ("aria-describedby", "aria-labelledby"):
        assert report.page.attributes(name) and set(report.page.attributes(name)) <= ids


def test_nothing_is_loaded_from_anywhere(report):
    for tag, attributes in report.page.elements:
        for name in ("src", "href", "srcset", "data", "action"):
            value = attributes.get(name) or ""
            assert value.startswith(("#", "data:,")) or not value, (tag, name, value)
    css = report.page.texts["style"][0]
    assert "url(" not in css and "@import" not in css
    assert report.html.count("<script>") == 2, "plotly.js once, and the page's own"


def test_titles_are_text_not_markup(report):
    tags = {tag for tag, _ in report.page.elements}
    assert "img" not in tags and "b" not in tags
    shown = report.page.texts["bdi"]
    for title in UGLY_TITLES:
        assert title in shown, "isolated, whichever way it is written"
    assert "Books & <more>" in shown


def test_titles_on_hover_are_text_and_isolated(report):
    spec = json.loads(report.page.scripts["ml-planted-map-store-codes-chart-data"])
    hovers = [text.partition("<br>") for text in spec["data"][0]["text"]]
    assert len(hovers) == report.films.n_items
    assert all("<" not in title for title, _, _ in hovers)
    assert "\u2068&lt;b&gt;&amp;\"' &lt;/script&gt;\u2069" in [title for title, _, _ in hovers]
    codes = [" ".join(map(str, row)) for row in report.films.codes.tolist()]
    assert [semantic_id for _, _, semantic_id in hovers] == codes


def test_the_map_is_coloured_by_the_first_code(report):
    spec = json.loads(report.page.scripts["ml-planted-map-store-codes-chart-data"])
    assert spec["data"][0]["marker"]["color"] == report.films.codes[:, 0].tolist()


def test_an_unfinished_model_is_marked_wherever_it_is_ranked(report):
    header = "STORE:without_alignment †"
    for table in ("unfiltered", "filtered", "unfiltered-target", "speed-table"):
        assert header in [row[0] for row in report.page.tables[f"ml-planted-{table}"]]
    assert any(
        text.startswith("Sorted by") and "† not converged" in text
        for text in report.page.texts["p"]
    )


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


def test_each_kind_of_cold_slice_is_explained(report):
    said = " ".join(report.page.texts["p"])
    assert "reserved keeps every tenth place" in said and "nearest is no model" not in said


def test_curves_are_of_what_learns(report):
    spec = json.loads(report.page.scripts["ml-planted-curves-epochs-data"])
    assert {trace["name"] for trace in spec["data"]} == set(report.films.skill) - {"Pop"}


def test_the_heads_of_columns_lead_to_what_their_figures_are(report):
    links = [attributes["href"] for tag, attributes in report.page.elements if tag == "a"]
    terms = dict(zip(report.page.texts["dt"], report.page.texts["dd"], strict=True))
    for term, at in (("NDCG@k", "#term-ndcg"), ("dead codes", "#term-dead-codes")):
        assert at in links and terms[term].endswith("is better.")
    assert "Two things" in terms["tail"] and "Gini index@k" not in terms, "of what is shown alone"


def test_figures_of_the_catalogue(report):
    """Counts are counts, each kind of figure has a table, and what has no meaning is left out."""
    tables = report.page.tables
    header, store, *_ = tables["ml-planted-semantic-ids"]
    assert header == ["model", "collision rate", "utilisation", "distinct", "dead codes"]
    assert store == ["STORE", "0.2500", "1.0000", "30", "0"]
    assert tables["ml-planted-search"][1:] == [["STORE:without_alignment", "0.2500"]]
    assert tables["ml-planted-lists"][1][-2] == "184.8" and len(tables["ml-planted-lists"][0]) == 3


def test_users_lists_are_the_planted_ones(report):
    films = report.films
    table = report.page.tables["ml-planted-users-1"]
    assert table[0][1:] == [
        label
        for label in subjects_of(report.results)[0].labels
        if label not in films.without_folder
    ]
    user = report.page.texts["h4"][0].removeprefix("User ")
    row = films.users.tolist().index(user)
    shown = [cells[table[0].index("STORE")] for cells in table[1:]]
    expected = [
        films.texts[item - 1] for item in films._lists("STORE", 2020, "unfiltered")[row][:10]
    ]
    assert shown == [" ".join(title.split()) for title in expected]
    assert films.texts[films.targets[row] - 1] in report.page.texts["mark"]


def test_what_is_missing_is_said_in_its_place(report):
    said = " ".join(report.page.texts["p"])
    for sentence in (
        "No map: the run folders of the models with semantic IDs are gone.",
        "No users are shown: no run folder with ranked.npz and histories.npz is there.",
        "Their run folders are gone or lack the lists: STORE:without_alignment.",
    ):
        assert sentence in said


def test_the_heading_says_what_was_compared(report):
    terms = dict(zip(report.page.texts["dt"], report.page.texts["dd"], strict=True))
    assert terms["Data sets"] == "ml-planted, Books & <more>"
    assert terms["Seeds"] == "2020, 2021"
    assert terms["Runs"] == "10, started 2026-11-22"
    assert terms["Commit"] == "0fd04da12345"
    assert terms["Report made"] == "2026-11-22"
    assert terms["Ties"] == "Items with equal scores in a planted order."


def test_making_it_twice_gives_the_same(report):
    assert page(report.results, "2026-11-22") == report.html


def test_slugs_are_unique():
    assert slugs(["ml-100k", "ML 100K", "日本"]) == ["ml-100k", "ml-100k-1", "data"]


def test_published_figures_have_a_table_of_their_own(report, tmp_path):
    assert "ml-planted-published" not in report.page.tables
    results = Planted(tmp_path, dataset="Beauty").write()
    header, *rows = Page(page(read_results(results), "today")).tables["beauty-published"]
    assert header[-2:] == ["Recall@10", "NDCG@10"]
    expected = {e["model"]: f"{e['recall@10']:.4f}" for e in published_figures("Beauty")}
    assert {row[0]: row[-2] for row in rows} == expected
    assert [row[-1] for row in rows].count("–") == 1
