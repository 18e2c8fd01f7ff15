"""What is kept of a run to look at: raw ids of a few users' lists and of a few items."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from planted_runs import metrics_by_hand, write_run

from recbole_store.errors import SettingsError
from recbole_store.experiments.results.examples import (
    LISTED,
    examples_path,
    read_examples,
    whole_branches,
)
from recbole_store.experiments.results.results_folder import keep, result_path

RANKS, FILTERED = [1, 3, 0], [2, 1, 5]


def run_with_examples(name="run", items=True, **changes):
    """Users u2 and u0, who had items 5 and 7, and items 1 .. 40 with codes [item % 3, item]."""
    run_dir = write_run(Path(name), RANKS, FILTERED, **changes)
    histories = np.array([[0, 5], [7, 5]], dtype=np.int32)
    np.savez(run_dir / "histories.npz", users=np.array(["u2", "u0"]), histories=histories)
    if items:
        ids = np.arange(1, 41)
        codes = np.stack([ids % 3, ids], axis=1)
        names = np.array([f"i{item}" for item in ids])
        np.savez(run_dir / "items.npz", raw_ids=names, semantic_ids=codes, points=codes)
    kept = keep(run_dir, Path("results"))
    return examples_path(result_path(Path("results"), kept.run))


def test_lists_are_those_of_the_run_s_own_filter():
    one = read_examples(run_with_examples())
    assert one.users.tolist() == ["u2", "u0"]
    assert one.histories.tolist() == [["", "i5"], ["i7", "i5"]], "padding is no item"
    assert one.targets.tolist() == ["i3", "i1"] and one.ranks.tolist() == [0, 1]
    assert one.lists.shape == (2, LISTED) and one.lists[1, 0] == "i1"
    protocol = {"filter_history": True, "n_test": 3}
    test = metrics_by_hand(FILTERED)
    other = read_examples(run_with_examples("other", protocol=protocol, test=test))
    assert other.ranks.tolist() == [5, 2] and other.lists[0, 4] == "i3"


def test_items_keep_their_codes_and_their_order():
    one = read_examples(run_with_examples())
    assert len(one.items) == 40
    for item, codes in zip(one.items, one.codes, strict=True):
        assert codes.tolist() == [int(item[1:]) % 3, int(item[1:])]
    assert one.codes.tolist() == sorted(one.codes.tolist())


def test_a_model_without_codes_has_no_items():
    assert len(read_examples(run_with_examples(items=False)).items) == 0


def test_a_run_without_example_users_keeps_nothing_and_removes_what_an_earlier_one_kept():
    path = run_with_examples()
    assert path.is_file()
    keep(write_run(Path("again"), RANKS, FILTERED), Path("results"))
    assert not path.is_file() and read_examples(path) is None


def test_whole_branches_are_kept_and_no_more_items_than_asked_for():
    codes = np.random.default_rng(0).integers(0, 20, (500, 2))
    rows = whole_branches(codes, most=100)
    assert 50 < len(rows) <= 100 and len(set(rows.tolist())) == len(rows)
    for code in set(codes[rows, 0].tolist()):
        assert (codes[rows, 0] == code).sum() == (codes[:, 0] == code).sum()
    assert rows.tolist() == whole_branches(codes, most=100).tolist()
    assert len(whole_branches(np.zeros((9, 2), dtype=int), most=4)) == 4, "one branch is cut"


def test_a_few_kilobytes():
    """Twelve letters an id, twenty users, and the most items."""
    run_dir = write_run(Path("run"), [1] * 20)
    ids = np.array([f"B{n:011d}" for n in np.random.default_rng(0).permutation(2000)])
    codes = np.random.default_rng(1).integers(0, 256, (2000, 3))
    np.savez(run_dir / "items.npz", raw_ids=ids, semantic_ids=codes, points=codes)
    users = np.array([f"u{n}" for n in range(20)])
    histories = np.random.default_rng(2).integers(1, 41, (20, 10))
    np.savez(run_dir / "histories.npz", users=users, histories=histories)
    kept = keep(run_dir, Path("results"))
    assert examples_path(result_path(Path("results"), kept.run)).stat().st_size < 10_000


@pytest.mark.parametrize(
    "changes",
    [
        {"ranks": np.array(["1", "2"])},
        {"lists": np.array(["i1"])},
        {"users": np.array(["u0"])},
        {"codes": np.zeros((3, 2), dtype=int)},
        {"codes": np.zeros(40, dtype=int)},
        {"items": None},
    ],
    ids=str,
)
def test_arrays_that_do_not_belong_together_are_refused(changes):
    path = run_with_examples()
    with np.load(path) as arrays:
        changed = {k: v for k, v in ({**arrays} | changes).items() if v is not None}
    np.savez(path, **changed)
    with pytest.raises(SettingsError, match="examples.npz"):
        read_examples(path)
