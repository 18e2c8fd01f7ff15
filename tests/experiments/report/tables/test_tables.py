"""The tables of a comparison, from planted runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from planted_kept import BAD, GOOD, RANKS, RISING, bare, column, marks, planted, rows
from planted_runs import planted_result

from recbole_store.errors import SettingsError
from recbole_store.experiments.comparison.readme import (
    MARKS,
    TRIAL_MARKS,
    readme_text,
    write_readme_tables,
)
from recbole_store.experiments.report.tables.cold_table import cold_tables
from recbole_store.experiments.report.tables.label_table import curve_table, label_table
from recbole_store.experiments.report.tables.layout import Table
from recbole_store.experiments.report.tables.published import published_table
from recbole_store.experiments.report.tables.tables import console_text, tables
from recbole_store.experiments.results.kept_run import KeptRun
from recbole_store.experiments.results.published import published_figures
from recbole_store.experiments.results.summary import standard_error, summarise
from recbole_store.settings.property_files import properties_folder

# Figures of a label


def test_standard_error_by_hand():
    # sqrt(0.2 * 0.8 / 400) = sqrt(0.0004) = 0.02
    assert standard_error(0.2, 400) == pytest.approx(0.02)
    assert standard_error(0.0, 400) == standard_error(1.0, 400) == 0.0


def test_mean_and_spread_over_seeds_and_error_over_users():
    # Recall@10 of the seeds: 1/2 and 1; of the users, averaged over seeds: 1 and 1/2.
    runs = [planted(ranks=[1, 0], seed=1), planted(ranks=[1, 1], seed=2)]
    figure = summarise(runs).get("unfiltered/all", "recall@10")
    assert figure.mean == 0.75
    assert figure.spread == pytest.approx(np.std([0.5, 1], ddof=1))
    assert figure.error == pytest.approx(np.std([1, 0.5], ddof=1) / np.sqrt(2))


def test_seeds_with_other_users_have_a_spread_but_no_common_error():
    """Each seed draws other cold items, say."""
    runs = [planted(ranks=[1, 0], seed=1), planted(ranks=[1, 1], seed=2, users=["x", "y"])]
    figure = summarise(runs).get("unfiltered/all", "recall@10")
    assert figure.mean == 0.75 and figure.spread is not None and figure.error is None


def test_without_ranks_recall_has_the_error_of_a_share():
    run = bare("Old", {"ndcg@10": 0.1}, **{"recall@10": 0.2, "ndcg@10": 0.1})
    run.result["protocol"]["n_test"] = 400
    summary = summarise([run])
    assert summary.get("unfiltered/all", "recall@10").error == pytest.approx(0.02)
    assert summary.get("unfiltered/all", "ndcg@10").error is None


@pytest.mark.parametrize(
    ("converged", "expected"),
    [([True, True], True), ([True, False], False), ([None, True], None), ([None, False], False)],
)
def test_a_label_has_converged_if_all_its_runs_have(converged, expected):
    runs = [planted(seed=seed, converged=value) for seed, value in enumerate(converged)]
    for run in runs:
        if run.result["converged"] is None:
            del run.result["converged"]
    assert summarise(runs).converged is expected


# The table of labels


def test_a_row_by_hand():
    table = label_table([planted(ranks=[1, 0], filtered=[1, 2])], "planted")
    assert table.header == [
        "model",
        "seeds",
        "valid NDCG@10",
        "Recall@10",
        "NDCG@10",
        "MRR@10",
        "Recall@10 (filtered)",
        "NDCG@10 (filtered)",
        "epochs",
        "fit",
        "s/epoch",
        "test eval",
        "trained par.",
    ]
    assert rows(table) == [
        ["Pop", "1", "0.5000", "0.5000 ±0.5000", "0.5000 ±0.5000", "0.5000 ±0.5000"]
        + ["1.0000 ±0.0000", "0.8155 ±0.1845", "3", "12.3 s", "4.0", "1.5 min", "1.2k"]
    ]


def test_runs_with_a_filter_have_it_first():
    protocol = planted_result(RANKS)["protocol"] | {"filter_history": True}
    table = label_table([planted(ranks=[2, 0], filtered=[1, 1], protocol=protocol)], "planted")
    assert table.header[3] == "Recall@10 (filtered)" and table.header[6] == "Recall@10"


def test_sorted_by_the_valid_metric_not_by_the_test():
    """Choosing by test figures would be peeking."""
    runs = [planted(f"V{v}", valid={"ndcg@10": v}) for v in (0.1, 0.3, 0.2)]
    runs += [planted("None", valid={})]
    assert column(label_table(runs, ""), "model") == ["V0.3", "V0.2", "V0.1", "None"]


def test_best_and_second_best_are_marked():
    runs = [planted(model, ranks) for model, ranks in (("A", BAD), ("B", GOOD), ("C", [1] * 40))]
    table = label_table(runs, "")
    found = dict(zip(column(table, "model"), marks(table, "MRR@10"), strict=True))
    assert found == {"A": "", "B": "second", "C": "best"}
    assert column(table, "MRR@10")[2].startswith("1.0000 ±")


def test_equal_figures_share_a_mark_and_all_equal_ones_have_none():
    runs = [planted("A", GOOD), planted("B", GOOD), planted("C", BAD)]
    assert marks(label_table(runs, ""), "NDCG@10") == ["best", "best", "second"]
    assert marks(label_table(runs[:2], ""), "NDCG@10") == ["", ""]


def test_committed_and_still_rising_labels_are_marked():
    runs = [planted("New", **RISING), planted("Old", valid={"ndcg@10": 0.6})]
    table = label_table(runs, "", frozenset({"Old"}))
    assert column(table, "model") == ["Old*", "New †"]
    assert any("still rising when its budget" in note for note in table.notes)


def test_a_run_that_went_on_past_its_best_has_converged():
    """By its budget's end, but an evaluation after the best one was worse."""
    curve = [{"epoch": n, "valid_score": x} for n, x in enumerate([0.1, 0.3, 0.2])]
    table = label_table([planted("A", converged=False, curve=curve), planted("B")], "")
    assert column(table, "model") == ["A", "B"] and "†" not in " ".join(table.notes)
    errors = [{"epoch": n, "valid_score": x} for n, x in enumerate([2.0, 1.0, 1.5])]
    run = bare("A", {"rmse": 1.0}, rmse=1.2)
    run.result.update(converged=False, curve=errors, valid_metric="RMSE")
    assert run.converged is True, "the smallest error is the best"
    run.result["curve"] = errors[:2]
    assert run.converged is False


def test_the_end_of_a_rising_curve_is_told():
    runs = [planted("New", **RISING), planted("Old", curve=RISING["curve"])]
    table = curve_table(runs, "planted")
    assert table.title == "planted: still rising"
    assert table.rows == [
        [
            "New †",
            "2020",
            "6, 8, 10, 12, 14, 16, 18, 20",
            "0.0500, 0.0700, 0.0900, 0.1100, 0.1300, 0.1500, 0.1700, 0.1900",
        ]
    ]
    assert curve_table(runs[1:], "planted") is None


def test_seeds_are_told():
    table = label_table([planted(seed=1), planted(seed=2)], "")
    assert column(table, "seeds") == ["2"]
    assert column(table, "NDCG@10")[0].endswith(" (0.0000)")
    assert any("standard deviation over seeds" in note for note in table.notes)


def test_missing_metric_is_a_dash():
    runs = [bare("With", {"ndcg@10": 0.2}, **{"ndcg@10": 0.3, "mrr@10": 0.25})]
    runs += [bare("Without", {}, **{"ndcg@10": 0.1})]
    runs[1].result["times"]["epoch_s"] = None
    table = label_table(runs, "")
    assert column(table, "model") == ["With", "Without"]
    assert column(table, "MRR@10")[1] == column(table, "s/epoch")[1] == "-"
    assert column(table, "valid NDCG@10")[1] == "-"


def test_value_metrics_have_no_cutoff():
    run = bare("FM", {"auc": 0.7}, auc=0.6, logloss=0.5)
    run.result["valid_metric"] = "AUC"
    table = label_table([run], "")
    assert table.header[2:5] == ["valid auc", "auc", "logloss"]
    assert rows(table)[0][2:5] == ["0.7000", "0.6000", "0.5000"]


def test_smaller_errors_are_better():
    runs = [bare("Far", {"rmse": 2.0}, rmse=2.0), bare("Near", {"rmse": 1.0}, rmse=1.0)]
    for run in runs:
        run.result["valid_metric"] = "RMSE"
    table = label_table(runs, "")
    assert column(table, "model") == ["Near", "Far"]
    assert column(table, "rmse") == ["1.0000", "2.0000"]
    assert marks(table, "rmse") == ["best", "second"]


def test_the_budget_is_told():
    def with_hours(model, hours):
        return planted(
            model, hashed_settings={"epochs": 3, **({"max_hours": hours} if hours else {})}
        )

    assert not any("udget" in note for note in label_table([planted("A"), planted("B")], "").notes)
    same = label_table([with_hours("A", 2.5), with_hours("B", 2.5)], "").notes
    assert "Budget: 2.5 hours of training for each model." in same
    other = label_table([with_hours("A", 2.5), with_hours("B", None), with_hours("C", 1)], "").notes
    assert "Budgets of training differ: 1 hours for C; 2.5 hours for A; none for B." in other


# Cold items


def cold_run(model, seed, share, **reserved) -> KeptRun:
    """All users stay, but which of their targets are in the tail is the draw's own."""
    metrics = {"warm/before": {"recall@10": 0.5}, "cold/only": {"recall@10": share}, **reserved}
    kept = planted(
        model,
        seed=seed,
        protocol=planted_result(RANKS)["protocol"] | {"n_test": 40 + seed},
        hashed_settings={"cold_items": 0.05, "seed": seed},
        cold={"n_items": 3, "n_users": 10 + seed, "metrics": metrics},
    )
    kept.arrays["target_counts"][:seed] = 0
    return kept


def test_draws_of_cold_items_are_averaged():
    reserved = {"cold/full/reserved": {"recall@10": 0.2}}
    runs = [cold_run("STORE", 1, 0.2, **reserved), cold_run("STORE", 2, 0.6, **reserved)]
    runs += [cold_run("SASRecAll", 1, 0.1), cold_run("SASRecAll", 2, 0.1), planted("Pop")]
    plain, all_items, cold = tables(runs)
    assert len(all_items.rows) == 2 and all_items.title == "planted, cold_items 0.05"
    assert not any("±" in cell for row in rows(all_items) for cell in row), "draws differ in users"
    assert cold.title == "planted, cold_items 0.05: cold items, Recall@10"
    assert [row[0] for row in plain.rows] == ["Pop"] and plain.title == "planted"
    assert cold.rows == [
        ["STORE", "the model", "2", "0.5000 (0.0000)", "-", "-", "0.4000 (0.2828)"],
        ["STORE", "a tenth reserved", "2", "-", "-", "0.2000 (0.0000)", "-"],
        ["SASRecAll", "the model", "2", "0.5000 (0.0000)", "-", "-", "0.1000 (0.0000)"],
    ]
    assert "draw 1: 3 items, targets of 11 users; draw 2: 3 items, targets of 12" in cold.notes[0]
    assert not any("±" in note for note in cold.notes)


def test_one_draw_of_cold_items_has_standard_errors():
    """0.2 of 11 users: sqrt(0.2 * 0.8 / 11) = 0.1206; 0.5 of the other 30: 0.0913."""
    run = cold_run("STORE", 1, 0.2)
    run.result["protocol"]["filter_history"] = True
    (table,) = cold_tables([run], "planted")
    assert table.title.endswith("Recall@10, items of the history filtered")
    assert table.rows[0][3:] == ["0.5000 ±0.0913", "-", "-", "0.2000 ±0.1206"]
    assert any("±" in note for note in table.notes)


def test_cold_items_have_a_table_where_the_valid_metric_has_no_cutoff():
    run = cold_run("FM", 1, 0.2)
    run.result["valid_metric"] = "AUC"
    (table,) = cold_tables([run], "")
    assert table.title.endswith("Recall@10") and len(table.rows) == 1


def test_cold_items_have_a_table_for_each_of_recall_and_ndcg():
    """On MIND, say, NDCG was asked for; where neither was, the valid metric is shown."""
    both = {"cold/only": {"recall@10": 0.2, "ndcg@10": 0.1, "mrr@10": 0.05}}
    recall, ndcg = cold_tables([cold_run("STORE", 1, 0.2, **both)], "planted")
    assert recall.title.endswith("Recall@10") and ndcg.title.endswith("NDCG@10")
    assert [recall.rows[0][-1][:6], ndcg.rows[0][-1][:6]] == ["0.2000", "0.1000"]
    run = cold_run("STORE", 1, 0.2)
    run.result["cold"]["metrics"] = {"cold/only": {"mrr@10": 0.05}}
    run.result["valid_metric"] = "MRR@10"
    (table,) = cold_tables([run], "planted")
    assert table.title.endswith("MRR@10") and table.rows[0][-1].startswith("0.0500")


def test_what_earlier_rules_made_of_new_items_is_marked():
    """Of some rows of a table; where all are alike, nothing is to be told."""
    runs = [cold_run("STORE", 1, 0.2), cold_run("Pop", 1, 0.1)]
    (table,) = cold_tables(runs, "")
    assert [row[0] for row in table.rows] == ["STORE", "Pop"] and "‡" not in str(table.notes)
    runs[1].result["cold"]["rules"] = 2
    (table,) = cold_tables(runs, "")
    assert [row[0] for row in table.rows] == ["STORE ‡", "Pop"] and "‡ Made by" in str(table.notes)


def test_without_cold_items_there_is_no_such_table():
    assert cold_tables([planted("A"), planted("B", BAD)], "") == []


# All tables


def test_a_table_for_each_data_set_and_protocol():
    other = planted_result(RANKS)["protocol"] | {"filter_history": True}
    runs = [planted("A"), planted("B", protocol=other), planted("C", dataset="films")]
    titles = [table.title for table in tables(runs)]
    assert titles == ["planted, filter_history False", "planted, filter_history True", "films"]


def test_no_results():
    assert tables([]) == [] and console_text([]) == "No results."


def test_the_console_s_tables_have_no_marks_of_markdown_and_fit():
    runs = [planted("A" * 40, GOOD, seed=seed, variant="b" * 30) for seed in (1, 2)]
    runs += [planted("STORE", BAD, seed=seed) for seed in (1, 2)] + [planted("Pop", **RISING)]
    text = console_text(runs, frozenset({"Pop"}))
    assert max(map(len, text.split("\n"))) <= 120
    assert not any(mark in text for mark in ("**", "`", "| ", "---:"))
    assert "Pop* †" in text and text.count("STORE") >= 3, "again before the columns below"


# Published figures


@pytest.mark.parametrize(
    "path", sorted((properties_folder() / "published").glob("*.yaml")), ids=str
)
def test_published_files(path):
    entries = published_figures(path.stem)
    assert entries and all(entry["source"] for entry in entries)
    models = [entry["model"] for entry in entries]
    assert len(set(models)) == len(models)


def test_published_table():
    table = published_table("Beauty")
    figures = [float(cell) for cell in column(table, "NDCG@10") if cell != "-"]
    assert figures == sorted(figures, reverse=True)
    tiger = next(row for row in table.rows if row[0] == "TIGER")
    assert tiger[1:] == ["arXiv 2305.05065", "not said", "0.0648", "0.0384"]
    assert published_table("no such data set") is None


def test_published_figures_stand_below_one_s_own():
    titles = [table.title for table in tables([planted(dataset="Beauty")])]
    assert titles == ["Beauty", "Beauty: published figures"]
    cold = cold_run("STORE", 1, 0.2)
    cold.result["dataset"] = "Beauty"
    titles = [table.title for table in tables([cold, planted(), planted(dataset="Beauty")])]
    assert titles == [
        "Beauty",
        "Beauty: published figures",
        "Beauty, cold_items 0.05",
        "Beauty, cold_items 0.05: cold items, Recall@10",
        "planted",
    ]


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("{model: A}", "needs filtered, model"),
        ("{model: A, recall@10: 6, ndcg@10: ~, filtered: ~, source: x}", "no share"),
        ("{model: A, recall@10: ~, ndcg@10: ~, filtered: perhaps, source: x}", "bool or null"),
    ],
)
def test_bad_published_files(entry, says, tmp_path, monkeypatch):
    (tmp_path / "published").mkdir()
    (tmp_path / "published" / "films.yaml").write_text(f"figures:\n- {entry}\n")
    monkeypatch.setattr(
        "recbole_store.experiments.results.published.properties_folder", lambda: tmp_path
    )
    with pytest.raises(SettingsError, match=says):
        published_figures("films")


# README


def test_readme_tables_replace_only_what_is_between_the_marks(tmp_path):
    readme = tmp_path / "README.md"
    text = f"before\n{MARKS[0]}\nold\nlines\n{MARKS[1]}\nafter\n"
    runs = [planted("STORE"), planted("Pop")]
    expected = f"before\n{MARKS[0]}\n{readme_text(tables(runs, slices=True))}\n{MARKS[1]}\nafter\n"
    trials = [Table("trials", ["model"], [["Pop"]])]
    readme.write_text(text)
    for _ in range(2):  # again, nothing more
        write_readme_tables(runs, trials, readme)
        assert readme.read_text() == expected
    readme.write_text(f"{text}{TRIAL_MARKS[0]}\nold\n{TRIAL_MARKS[1]}\nend")
    for _ in range(2):
        write_readme_tables(runs, trials, readme)
        own = f"{TRIAL_MARKS[0]}\n{readme_text(trials)}\n{TRIAL_MARKS[1]}\nend"
        assert readme.read_text() == expected + own


@pytest.mark.parametrize("text", ["no marks", f"{MARKS[0]} only one", f"{MARKS[1]} {MARKS[0]}"])
def test_readme_without_marks_is_left_alone(tmp_path, text):
    readme = tmp_path / "README.md"
    readme.write_text(text)
    with pytest.raises(SettingsError, match="README.md has no"):
        write_readme_tables([planted()], [], readme)
    assert readme.read_text() == text


def test_our_readme_has_the_marks():
    text = (Path(__file__).resolve().parents[4] / "docs/results.md").read_text(encoding="utf-8")
    assert [text.count(mark) for mark in MARKS] == [1, 1]
    assert text.index(MARKS[0]) < text.index(MARKS[1])
