"""A chapter for each data set and protocol: what they do not share is never averaged."""

from __future__ import annotations

import json

import pytest
from planted_results import Planted
from read_page import Page

from recbole_store.experiments.report.page.blocks import Table
from recbole_store.experiments.report.page.data import read_results
from recbole_store.experiments.report.page.page import page, slugs, subjects_of
from recbole_store.experiments.report.page.sections import overview, pairs, protocol, quality
from recbole_store.experiments.report.tables.tables import tables
from recbole_store.experiments.results.results_folder import read_runs

LABELS = {"STORE": 0.8, "SASRecAll": 0.6, "Pop": 0.2}


@pytest.fixture
def mixed(tmp_path) -> Planted:
    """Seed 2020 filtered, seed 2021 not; SASRecAll with the first alone."""
    planted = Planted(tmp_path, skill=LABELS, tokenized=(), not_converged=(), without_folder=LABELS)
    planted.write()
    for label in LABELS:
        planted.change(label, protocol={"filter_history": True})
    planted.path("SASRecAll", 2021).unlink()
    return planted


def subjects(planted: Planted) -> list:
    return subjects_of(read_results(planted.results))


def test_each_protocol_has_a_chapter_titled_as_the_console_s_table(mixed):
    found = subjects(mixed)
    shown = [table.title for table in tables(read_runs(mixed.results)) if ": " not in table.title]
    assert [subject.data.title for subject in found] == shown
    assert shown == ["ml-planted, filter_history True", "ml-planted, filter_history False"]
    html = Page(page(read_results(mixed.results), "today"))
    assert {f"#{slug}-results" for slug in slugs(shown)} <= set(html.attributes("href"))


def test_a_chapter_s_figures_are_those_of_its_own_runs(mixed):
    filtered, unfiltered = subjects(mixed)
    for subject, seed, own in ((filtered, 2020, "filtered"), (unfiltered, 2021, "unfiltered")):
        expected = mixed._figures("Pop", seed)[f"{own}/all", "ndcg@10"]
        assert subject.own_filter == own
        assert subject.mean("Pop", "ndcg@10", f"{own}/all") == pytest.approx(expected, rel=1e-5)
        assert subject.deviation("Pop", "ndcg@10", f"{own}/all") is None, "one seed"
    assert set(filtered.labels) == set(LABELS) and set(unfiltered.labels) == {"STORE", "Pop"}
    main = quality.results(unfiltered).blocks[1].table
    assert len(main.rows) == 2 and main.caption.endswith("Epochs were chosen this way.")


def test_pairs_are_of_one_protocol(mixed):
    """Pop and STORE are compared under both, each time by the seed of the chapter."""
    filtered, unfiltered = subjects(mixed)
    of_ndcg = [found for found in unfiltered.data.pairs if found[1] == "ndcg@10"]
    found = {(name, pair.a, pair.b): pair for name, _, pair in of_ndcg}
    assert {(a, b) for _, a, b in found} == {("STORE", "Pop")}
    for name in ("filtered", "unfiltered"):
        a, b = (mixed._figures(label, 2021)[f"{name}/all", "ndcg@10"] for label in ("STORE", "Pop"))
        assert found[name, "STORE", "Pop"].difference == pytest.approx(a - b)
    assert len(filtered.data.pairs) == 2 * 3 * 3, "filters, metrics and pairs"
    assert "STORE" in pairs.lead(unfiltered) and "SASRecAll" not in pairs.lead(unfiltered)


def test_the_protocol_table_holds_what_the_chapter_s_runs_share(mixed):
    path = mixed.results / "protocol.json"
    written = json.loads(path.read_text())
    written["runs"] = {
        f"ml-planted/{label}-seed{seed}": {
            "label": label,
            "filter_history": seed == 2020,
            "max_item_list_length": 20 if label == "Pop" else 50,
        }
        for label in LABELS
        for seed in (2020, 2021)
    }
    path.write_text(json.dumps(written))
    for subject, expected in zip(subjects(mixed), ("True", "False"), strict=True):
        blocks = protocol.protocol(subject).blocks
        (table,) = [block for block in blocks if isinstance(block, Table)]
        shown = {key.text: value.text for key, value in table.rows}
        assert shown["filter_history"] == expected and shown["data_sha256.inter"] == "abc"
        assert "max_item_list_length" not in shown and "label" not in shown


def test_figures_of_a_run_that_is_gone_are_not_shown_and_that_is_said(mixed):
    mixed.path("SASRecAll", 2020).unlink()
    results = read_results(mixed.results)
    assert all("SASRecAll" not in subject.labels for subject in subjects_of(results))
    said = dict(overview.heading(results, "today").pairs)["Not shown"]
    assert "SASRecAll on ml-planted, seed 2020 and SASRecAll on ml-planted, seed 2021" in said
