"""What a chapter says and draws: sentences, dots, points; what protocols do not share is apart."""

from __future__ import annotations

import re

import numpy as np
import pytest
from planted_results import Planted

from recbole_store.experiments.report.page.page import chapters_of
from recbole_store.experiments.results.results_folder import read_runs


def chapters(tmp_path, skill, **changes) -> list:
    planted = Planted(tmp_path, seeds=(2020,), skill=skill, with_examples=False, **changes)
    planted.write()
    return chapters_of(read_runs(planted.results), {})


@pytest.mark.parametrize(
    ("skill", "said"),
    [
        ({"STORE": 0.9, "Pop": 0.1}, "STORE is ahead of Pop, the only other model"),
        ({"STORE": 0.1, "SASRecAll": 0.9}, "STORE is behind SASRecAll, the only other model"),
        ({"STORE": 0.5, "BPR": 0.5}, "STORE cannot be told from BPR"),
    ],
)
def test_the_sentence_tells_losses_as_wins(tmp_path, skill, said):
    (chapter,) = chapters(tmp_path, skill, n_users=300)
    assert chapter.answer.startswith(said)
    by, sign = (":", "[+-]") if "cannot be told" in said else (" by", "")
    interval = rf"\(95% interval {sign}0\.\d{{4}} to {sign}0\.\d{{4}}\)"
    said = rf"on NDCG@10{by} {sign}0\.\d{{4}} {interval}, paired over 300 users\.$"
    assert re.search(said, chapter.answer), chapter.answer


def test_the_sentence_counts_all_other_models(tmp_path):
    skill = {"STORE": 0.5, "SASRecAll": 2.0, "Pop": 0.02, "STORE:x": 0.9}
    (chapter,) = chapters(tmp_path, skill, n_users=300)
    assert chapter.answer.startswith("STORE is behind SASRecAll, the best other model on")
    assert chapter.answer.endswith("; of all 2 it is ahead of 1 and is behind 1.")


def test_one_label_alone_has_a_sentence_too(tmp_path):
    (chapter,) = chapters(tmp_path, {"Pop": 0.2})
    assert chapter.answer.startswith("Pop has the highest NDCG@10 on validation (0.")
    assert len(chapter.charts) == 2


def test_draws_of_new_items_have_a_sentence_of_their_own(tmp_path):
    cold = {"n_items": 2, "n_users": 5, "metrics": {"cold/full": {"recall@10": 0.125}}}
    changes = {"cold": cold, "hashed_settings": {"cold_items": 0.05}}
    (chapter,) = chapters(tmp_path, {"STORE": 0.7, "Pop": 0.2}, changes=changes)
    said = "Recall@10 of new items among all items: "
    assert chapter.answer == said + "STORE 12.5%; Pop 12.5%." and chapter.charts == []
    chapter.runs[1].result["cold"]["metrics"]["cold/full/bias"] = {"recall@10": 0.25}
    (other,) = chapters_of(chapter.runs, {})
    assert "STORE at a loss of 3% 25.0%; Pop 12.5%." in other.answer
    assert any("cold items" in table.title for table in chapter.tables)
    assert not any("published" in table.title for table in chapter.tables)


def test_dots_are_of_the_reference_and_other_models(report):
    films = report.films
    chapter = next(c for c in chapters_of(report.runs, {}) if c.title == "ml-planted")
    dots, points = (str(chart) for chart in chapter.charts)
    drawn = [float(value) for value in re.findall(r"<span>([\d.]+) <small>", dots)]
    assert drawn == sorted(drawn, reverse=True), "the highest first"
    values = np.mean([films.ndcg("STORE", seed) for seed in films.seeds], axis=0)
    half = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    low, high = values.mean() - half, values.mean() + half
    shown = re.findall(r"([\d.]+) <small>([\d.]+) to ([\d.]+)</small>", dots)
    assert (f"{values.mean():.4f}", f"{low:.4f}", f"{high:.4f}") in shown and len(shown) == 3
    assert "without_" not in dots and "without_alignment" in points, "as context alone"
    assert [s for s in re.findall(r"<text[^>]*>([^<]*)</text>", points) if "without" in s] == []


def test_the_reference_has_the_first_colour_and_rising_ones_are_hollow(report):
    chapter = next(c for c in chapters_of(report.runs, {}) if c.title == "ml-planted")
    points = str(chapter.charts[1])
    assert '<g class="m0"><title>STORE: ' in points
    assert '<g class="m0 rising"><title>STORE:without_alignment: ' in points
    assert points.count("rising") == 1


def test_curves_are_of_what_learns(report):
    chapter = next(c for c in chapters_of(report.runs, {}) if c.title == "ml-planted")
    assert {"STORE", "SASRec:tuned"} <= set(
        re.findall(r"<title>([^<]+): [\d.]+</title>", chapter.curves)
    )
    assert "Pop" not in chapter.curves


def test_each_protocol_has_a_chapter_with_its_own_figures(tmp_path):
    planted = Planted(tmp_path, skill={"STORE": 0.8, "Pop": 0.2}, with_examples=False)
    planted.write()
    runs = read_runs(planted.results)
    for kept in runs:
        if kept.run.seed == 2021:
            kept.result["protocol"]["filter_history"] = True
    first, second = chapters_of(runs, {"ml-planted": ["its trials"]})
    assert first.trials == ["its trials"] and second.trials == [], "once a data set"
    assert [c.title for c in (first, second)] == [
        "ml-planted, filter_history False",
        "ml-planted, filter_history True",
    ]
    for chapter, seed, own in ((first, 2020, "unfiltered"), (second, 2021, "filtered")):
        (pop,) = [s for s in chapter.every if s.label == "Pop"]
        expected = planted.ndcg("Pop", seed, own).mean()
        assert chapter.quality(pop).mean == pytest.approx(expected)
        (pair,) = chapter.pairs
        difference = planted.ndcg("STORE", seed, own).mean() - expected
        assert pair.difference == pytest.approx(difference)
