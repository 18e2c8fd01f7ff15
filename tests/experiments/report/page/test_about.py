"""What stands at the page's end."""

from __future__ import annotations

from planted_runs import planted_result

from recbole_store.experiments.report.page.about import (
    condition_tables,
    flattened,
    run_table,
    started,
)
from recbole_store.experiments.results.kept_run import KeptRun


def test_started():
    assert started("saved/Pop-ml-100k-seed2020-20261122-165520") == "2026-11-22"
    assert started("saved/Pop-ml-100k-seed2020-20261122-165520-2") == "2026-11-22"
    assert started("saved/mine") is None


def test_flattened():
    nested = {"a": {"b": [1, 2]}, "c": True, "e": None}
    assert list(flattened(nested)) == [("a.b", "1, 2"), ("c", "True"), ("e", "None")]


def test_what_a_run_does_not_say_is_a_dash():
    (row,) = run_table([KeptRun(planted_result([1]), None)]).rows
    assert row == ["planted", "Pop", "2020", "-", "-", "-", "-", "-"]


def test_conditions_are_those_that_all_runs_of_a_data_set_share():
    runs = [KeptRun(planted_result([1], seed=seed), None) for seed in (1, 2)]
    runs[1].result["protocol"] = {**runs[1].result["protocol"], "max_item_list_length": 20}
    fixed, own = condition_tables(runs)
    assert fixed.title == "Every comparison" and own.title == "planted, all runs"
    keys = {row[0]: row[1] for row in own.rows}
    assert keys["n_users"] == "1" and "max_item_list_length" not in keys
    assert {row[0] for row in fixed.rows} >= {"ties", "families.baselines", "converged"}
