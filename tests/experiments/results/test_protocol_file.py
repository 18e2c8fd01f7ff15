"""protocol.json: what all runs of a data set share, and what is a run's own."""

from __future__ import annotations

from planted_runs import planted_result

from recbole_store.experiments.results.kept_run import KeptRun
from recbole_store.experiments.results.protocol_file import conditions


def test_settings_of_the_protocol_are_among_the_conditions():
    budget = {"epochs": 3, "max_hours": 2.5}
    runs = [
        KeptRun(planted_result([1], hashed_settings=budget), None),
        KeptRun(
            planted_result([1], seed=2021, hashed_settings={**budget, "cold_items": 0.05}), None
        ),
    ]
    found = conditions(runs)
    shared = found["datasets"]["planted"]
    assert shared["max_hours"] == 2.5 and "cold_items" not in shared and "epochs" not in shared
    own = [of_run.get("cold_items") for of_run in found["runs"].values()]
    assert own == [None, 0.05] and shared["filter_history"] is False
