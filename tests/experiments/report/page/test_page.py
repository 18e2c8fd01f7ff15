"""The page as a whole: what stands where, it loads nothing, no text becomes markup."""

from __future__ import annotations

import json

from planted_results import UGLY_TITLES

from recbole_store.experiments.report.page.page import page, slugs, subjects_of

SECTIONS = ("protocol", "results", "pairs", "slices", "cold", "curves", "speed", "catalogue")
SECTIONS += ("map", "users")
SLUGS = {"films": "ml-planted", "books": "books-more"}


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


def test_each_kind_of_cold_slice_is_explained(report):
    said = " ".join(report.page.texts["p"])
    assert "reserved keeps every tenth place" in said and "nearest is no model" not in said


def test_the_heads_of_columns_lead_to_what_their_figures_are(report):
    links = [attributes["href"] for tag, attributes in report.page.elements if tag == "a"]
    terms = dict(zip(report.page.texts["dt"], report.page.texts["dd"], strict=True))
    for term, at in (("NDCG@k", "#term-ndcg"), ("dead codes", "#term-dead-codes")):
        assert at in links and terms[term].endswith("is better.")
    assert "Two things" in terms["tail"] and "Gini index@k" not in terms, "of what is shown alone"


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
