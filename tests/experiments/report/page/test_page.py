"""The page as a whole: what stands where, it loads nothing, no text becomes markup."""

from __future__ import annotations

import re

import numpy as np
from planted_results import UGLY_TITLES, Planted, page_of

from recbole_store.experiments.report.page.page import chapters_of, page
from recbole_store.experiments.report.tables.layout import Table


def test_the_answer_stands_first_once_a_data_set(report):
    chapters = chapters_of(report.runs, {})
    main = report.html.index("<main>")
    for chapter in chapters:
        assert report.html.index(f'href="#{chapter.slug}"') < main
    said = [text for text in report.page.texts["dd"] if "best other model on validation" in text]
    assert said[0] == chapters[1].answer and len(chapters) == 2


def test_links_and_references_lead_somewhere(report):
    ids = report.page.attributes("id")
    assert len(ids) == len(set(ids)) and {"ml-planted", "books-more"} <= set(ids)
    links = [href[1:] for href in report.page.attributes("href") if href.startswith("#")]
    assert set(links) | set(report.page.attributes("aria-labelledby")) <= set(ids)


def test_nothing_is_loaded_from_anywhere(report):
    for tag, attributes in report.page.elements:
        for name in ("src", "href", "srcset", "data", "action"):
            value = attributes.get(name) or ""
            assert value.startswith(("#", "data:,")) or not value, (tag, name, value)
    css = report.page.texts["style"][0]
    assert "url(" not in css and "@import" not in css and "<script" not in report.html
    (policy,) = [a["content"] for t, a in report.page.elements if "http-equiv" in a]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_titles_are_text_not_markup(report):
    tags = {tag for tag, _ in report.page.elements}
    assert "img" not in tags
    for title in UGLY_TITLES:
        assert title in report.page.texts["bdi"], "isolated, whichever way it is written"
    assert "Books & <more>" in report.page.texts["bdi"]


def test_no_section_is_empty(report):
    """Books have no examples: no heading of theirs, no tree, and nothing that says so."""
    films, books = (
        report.html.partition('id="ml-planted"')[2],
        report.html.partition('id="books-more"')[2].partition('id="ml-planted"')[0],
    )
    for part in ("users, and what", "Tree of codes of"):
        assert part in films and part not in books
    for tag in ("details", "section", "figure", "ul", "ol", "dl", "table"):
        assert all(report.page.texts[tag]), tag


def test_cards_show_the_planted_lists(report):
    films = report.films
    titles = dict(zip(films.raw_ids[1:].tolist(), films.titles, strict=True))
    users = [text.removeprefix("User ") for text in report.page.texts["h4"]]
    assert len(set(users)) == 5 and set(users) <= set(films.examples.tolist())
    assert report.page.texts["h5"][:3] == ["STORE", "SASRec:tuned", "Pop"], "the reference first"
    lists = iter(report.page.texts["ol"])
    for user in users:
        row = films.users.tolist().index(user)
        target = titles[films.raw_ids[films.targets[row]]]
        for label in ("STORE", "SASRec:tuned", "Pop"):
            best = films.lists(label, 2020, "unfiltered")[row][:5]
            expected = "".join(" ".join(titles[films.raw_ids[item]].split()) for item in best)
            assert next(lists).replace(" ", "") == expected.replace(" ", "")
        assert target in report.page.texts["mark"]
    hits = [film for film in report.page.elements if film[0] == "mark"]
    found = sum(
        films.ranks(label, 2020, "unfiltered")[films.users.tolist().index(user)] <= 5
        for user in users
        for label in ("STORE", "SASRec:tuned", "Pop")
    )
    assert len(hits) == len(users) + found, "each target once, and wherever it was hit"


def test_the_tree_holds_each_item_under_its_codes(report):
    films = report.films
    leaves = dict(re.findall(r"<code>([\d ]+)</code>\s*<bdi>([^<]*)</bdi>", report.html))
    assert len(leaves) == films.n_items
    by_code = {" ".join(map(str, codes)): n for n, codes in enumerate(films.codes.tolist())}
    assert set(leaves) == set(by_code)
    assert leaves[" ".join(map(str, films.codes[10]))] == films.titles[10]


def test_tables_hold_the_planted_figures(report):
    films = report.films
    header, *rows = report.page.tables["ml-planted"]
    shown = {row[0].removesuffix(" †"): row[header.index("NDCG@10")] for row in rows}
    for label in films.skill:
        mean = np.mean([films.ndcg(label, seed).mean() for seed in films.seeds])
        assert shown[label].startswith(f"{mean:.4f} ±")
    assert {row[0] for row in rows if row[0].endswith("†")} == {"STORE:without_alignment †"}
    assert "ml-planted: STORE against the other models" in report.page.tables
    assert "ml-planted: semantic IDs" in report.page.tables


def test_trials_stand_in_the_first_chapter_of_their_data_set(report):
    trials = {"ml-planted": [Table("ml-planted: trials", ["model"], [["Pop"]])], "other": []}
    films = report.films
    html = page(report.runs, "today", films.results, films.data_path, trials)
    assert html.count("ml-planted: trials</summary>") == 1


def test_how_it_was_measured_is_folded_at_the_end(report):
    footer = report.html.partition("<footer>")[2]
    for part in ("Models", "Protocol", "Runs, commits and machines", "Glossary"):
        assert f"<summary>{part}</summary>" in footer
    runs = report.page.tables["Runs"]
    assert len(runs) == 1 + 8 + 2
    assert ["2026-11-22", "0fd04da12345", "AMD EPYC", "2", "1"] == runs[1][3:]
    assert "Every comparison" in report.page.tables
    terms = dict(zip(report.page.texts["dt"], report.page.texts["dd"], strict=True))
    assert terms["NDCG"].endswith("Higher is better.") and "STORE" in terms


def test_it_is_small_and_the_same_twice(report):
    assert len(report.html.encode()) < 400_000
    assert page_of(report.films) == report.html


def test_images_are_shown_when_they_are_asked_for(tmp_path):
    planted = Planted(tmp_path, seeds=(2020,), skill={"STORE": 0.7, "Pop": 0.2})
    planted.write()
    path = planted.data_path / planted.dataset / f"{planted.dataset}.item"
    head, *lines = path.read_text().splitlines()
    rows = [f'{line}\thttps://x.org/"{n}.jpg' for n, line in enumerate(lines)]
    path.write_text("\n".join([f"{head}\tposter:token", *rows, ""]))
    assert "<img" not in page_of(planted)
    html = page_of(planted, images="poster")
    assert 'src="https://x.org/&#34;0.jpg"' in html and "img-src https: http:" in html


def test_without_the_data_items_are_shown_by_their_ids(tmp_path):
    planted = Planted(tmp_path, seeds=(2020,), skill={"STORE": 0.7, "Pop": 0.2})
    planted.write()
    path = planted.data_path / planted.dataset / f"{planted.dataset}.item"
    path.write_text("item_id:token\ttitle:token_seq\ni0000\n")
    broken = []
    assert "<bdi>i0000</bdi>" in page_of(planted, broken=broken)
    assert "line 2" in broken[0] and broken[0].endswith("Items are shown by their ids.")


def test_slugs_are_unique(report):
    names = ["ml-100k", "ML 100K", "日本"]
    runs = [one for one in report.runs if one.label == "Pop"][:1]
    several = [type(runs[0])(runs[0].result | {"dataset": name}, runs[0].arrays) for name in names]
    found = [chapter.slug for chapter in chapters_of(several, {})]
    assert len(set(found)) == 3 and found[0] == "ml-100k" and "data" in found
