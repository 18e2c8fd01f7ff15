"""Kept trials as tables."""

from __future__ import annotations

import json

import pytest

from recbole_store.errors import SettingsError
from recbole_store.experiments.report.tables.trial_table import trial_tables
from recbole_store.experiments.results.trial_file import score


def trial(value, settings, *conditions, **changes) -> dict:
    own = {"settings": settings, "conditions": list(conditions), "valid_metric": "mrr@5"}
    return {
        **own,
        "valid": {"mrr@5": value, "ndcg@5": 0.9},
        "best_epoch": 1,
        "epochs": 4,
        **changes,
    }


def write(folder, dataset, stem, *trials) -> None:
    path = folder / "trials" / dataset / f"{stem}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(trials))


def test_best_first_for_each_model_one_table_for_each_condition(tmp_path):
    write(tmp_path, "films", "Pop", trial(0.3, {}))
    write(
        tmp_path,
        "films",
        "STORE-small",
        trial(0.1, {"item_head_share": 0.5, "decoding": "beam"}),
        trial(0.2, {"item_dropout": None}, ranked_again=True),
        trial(0.4, {}, "--seed=3", "--epochs=9"),
    )
    write(tmp_path, "books", "Pop", trial(0.5, {}))
    found = trial_tables(tmp_path)
    assert list(found) == ["books", "films"]
    (books,), (films, other) = found.values()
    assert (books.title, films.title) == ("books: trials", "films: trials")
    assert other.title == "films: trials with --epochs=9 --seed=3"
    assert films.rows == [
        ["Pop", "its own", "mrr@5", "0.3000", "2", "4"],
        ["STORE:small", "item_dropout null ‡", "mrr@5", "0.2000", "2", "4"],
        ["STORE:small", 'item_head_share 0.5, decoding "beam"', "mrr@5", "0.1000", "2", "4"],
    ]
    assert [len(table.notes) for table in (books, films, other)] == [1, 2, 1]


def test_a_trial_is_judged_by_its_valid_metric():
    assert score(trial(0.25, {})) == 0.25


def test_no_trials_are_no_tables(tmp_path):
    assert trial_tables(tmp_path) == {}


@pytest.mark.parametrize(
    "content",
    [
        {"settings": {}},
        [{"settings": {}}],
        [None],
        [trial("high", {})],
        [trial(0.1, {}, valid_metric="mrr@9")],
        [trial(0.1, {}, best_epoch=None)],
    ],
    ids=str,
)
def test_a_file_that_holds_no_trials_is_named_and_left_out_alone(tmp_path, content):
    write(tmp_path, "films", "Pop", trial(0.1, {}))
    path = tmp_path / "trials" / "films" / "BPR.json"
    path.write_text(json.dumps(content))
    with pytest.raises(SettingsError, match=r"BPR\.json"):
        trial_tables(tmp_path)
    broken = []
    (table,) = trial_tables(tmp_path, broken)["films"]
    assert [row[0] for row in table.rows] == ["Pop"] and "BPR.json" in broken[0]
