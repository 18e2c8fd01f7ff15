"""What is said of pairs: their verdicts, their seeds, and nothing that contradicts them."""

from __future__ import annotations

import pytest
from planted_results import Planted
from scipy import stats

from recbole_store.experiments.report.page.data import read_results
from recbole_store.experiments.report.page.page import subjects_of
from recbole_store.experiments.report.page.sections.pairs import lead, pairs
from recbole_store.experiments.report.page.sections.quality import results
from recbole_store.experiments.results.rank_metrics import ndcg
from recbole_store.experiments.results.rank_metrics import recall as found_in


@pytest.fixture
def planted(tmp_path):
    """Makes a comparison without run folders; of labels with a skill."""

    def plant(skill: dict[str, float], seeds=(2020,), not_converged=()) -> Planted:
        one = Planted(tmp_path, seeds=seeds, skill=skill, tokenized=(), without_folder=skill)
        one.not_converged = not_converged
        one.write()
        return one

    return plant


def subject(one: Planted):
    (found,) = subjects_of(read_results(one.results))
    return found


def text(section) -> str:
    return " ".join(block.text for block in section.blocks if block.kind == "paragraph")


def test_pairs_are_those_of_the_ranks(report):
    films = report.films
    header, *rows = report.page.tables["ml-planted-pairs-table"]
    assert header[-3:] == ["difference", "p", "users"]
    first = rows[0][0]
    assert first == subjects_of(report.results)[0].labels[0]
    for a, b, _, difference, *_ in rows:
        values = [
            sum(ndcg(films.ranks(label, seed, "unfiltered"), 10) for seed in films.seeds) / 2
            for label in (a, b)
        ]
        test = stats.ttest_rel(*values)
        mean = (values[0] - values[1]).mean()
        expected = f"{mean:+.4f} ±{mean / test.statistic:.4f}".replace("-", "−")
        assert difference == expected


def test_all_other_pairs_are_in_the_folded_table(report):
    rows = report.page.tables["ml-planted-pairs-table-rest"][1:]
    assert len(rows) == 2 * 3 * 6 - 3, "six pairs under each filter and metric, three of them above"
    recall = [row for row in rows if row[3:5] == ["filtered", "Recall@10"]]
    films = report.films
    for a, b, *_, difference, _, _ in recall:
        hits = [
            [found_in(films.ranks(label, seed, "filtered"), 10).mean() for seed in films.seeds]
            for label in (a, b)
        ]
        mean = (sum(hits[0]) - sum(hits[1])) / len(films.seeds)
        assert difference.startswith(f"{mean:+.4f} ±".replace("-", "−"))
    assert len(recall) == 6


def test_the_lead_and_the_pairs_say_the_same_of_what_had_not_converged(planted):
    """Better than an unfinished model is not said; an unfinished one may be better."""
    far = {"STORE": 0.9, "Pop": 0.1}
    one = subject(planted(far, not_converged=("Pop",)))
    assert lead(one).endswith("but Pop had not converged, so STORE is not said to be better.")
    assert pairs(one).blocks[1].rows[0][2].text == "no claim: Pop had not converged"


def test_an_unfinished_model_may_be_better(planted):
    one = subject(planted({"STORE": 0.9, "Pop": 0.1}, not_converged=("STORE",)))
    assert lead(one).endswith(": STORE is better.")
    assert pairs(one).blocks[1].rows[0][2].text == "STORE is better"
    shown = text(results(one)) + results(one).blocks[1].table.note
    assert "othing is claimed" not in shown


def test_a_tie_with_an_unfinished_model_is_a_tie_in_the_lead_too(planted):
    one = subject(planted({"STORE": 0.5, "Pop": 0.5}, not_converged=("STORE", "Pop")))
    assert lead(one).endswith(": a tie.") and pairs(one).blocks[1].rows[0][2].text == "tie"


def test_a_seed_without_ranks_is_named_wherever_it_is_missing(planted):
    one = planted({"STORE": 0.9, "BPR:tuned": 0.1}, seeds=(2020, 2021, 2022))
    one.path("BPR:tuned", 2021).with_suffix(".npz").unlink()
    found = subject(one)
    gone = "the users' ranks of seed 2021 are not kept"
    assert f"No ±: BPR:tuned ({gone})." in results(found).blocks[1].table.note
    said = f"BPR:tuned is paired by seeds 2020 and 2022 alone: {gone}"
    assert said in lead(found) and said in text(pairs(found))
    assert "STORE is paired" not in text(pairs(found))


def test_a_model_without_any_ranks_is_not_paired(planted):
    one = planted({"STORE": 0.9, "SASRecAll": 0.5, "Pop": 0.1})
    one.path("STORE").with_suffix(".npz").unlink()
    found = subject(one)
    assert "Not paired, as no users' ranks are kept: STORE." in text(pairs(found))
    assert lead(found).endswith("The two are not paired, so neither is said to be better.")
    assert "No ±: STORE (no users' ranks are kept)." in results(found).blocks[1].table.note


def test_figures_of_some_seeds_only_are_said_to_be_so(planted):
    one = planted({"STORE": 0.9, "Pop": 0.1}, seeds=(2020, 2021))
    path = one.results / "results.csv"
    kept = [
        row
        for row in path.read_text().splitlines()
        if not row.startswith("ml-planted,Pop,,2021,filt")
    ]
    path.write_text("\n".join(kept))
    found = subject(one)
    assert found.fewer_seeds("ndcg@10", "filtered/all") == "Pop: mean over seed 2020 alone."
    assert found.fewer_seeds("ndcg@10", "unfiltered/all") == ""
