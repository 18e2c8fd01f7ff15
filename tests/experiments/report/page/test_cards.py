"""Which users are shown, and the tree of codes."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from recbole_store.experiments.report.page.examples import branches, chosen_users


def lists(ranks: list[int]) -> SimpleNamespace:
    return SimpleNamespace(
        users=np.array([f"u{n}" for n in range(len(ranks))]), ranks=np.array(ranks)
    )


def test_half_of_the_users_are_those_on_whom_models_differ():
    one, other = lists([1, 1, 0, 0, 5, 5, 0, 3]), lists([1, 1, 0, 0, 0, 6, 0, 3])
    chosen = chosen_users([one, other])
    assert len(set(chosen)) == 5
    assert {"u4", "u5"} == set(chosen[:2])
    assert chosen == chosen_users([other, one]), "whatever the models' order"


def test_where_models_agree_all_users_are_drawn():
    assert len(set(chosen_users([lists([1] * 8), lists([2] * 8)]))) == 5
    assert sorted(chosen_users([lists([1, 0])])) == ["u0", "u1"]


def test_only_users_that_all_models_have_are_shown():
    few = SimpleNamespace(users=np.array(["u3", "u1"]), ranks=np.array([1, 0]))
    assert set(chosen_users([lists([0] * 9), few])) == {"u1", "u3"}


def test_the_tree_by_hand():
    items = np.array(["a", "b", "c", "d"])
    codes = np.array([[7, 1, 0], [7, 1, 1], [5, 0, 0], [7, 2, 0]])
    assert branches(items, codes) == [
        {"code": "5 0 0", "item": "c"},
        {
            "code": "7",
            "n": 3,
            "branches": [
                {
                    "code": "7 1",
                    "n": 2,
                    "branches": [{"code": "7 1 0", "item": "a"}, {"code": "7 1 1", "item": "b"}],
                },
                {"code": "7 2 0", "item": "d"},
            ],
        },
    ]
    assert branches(items[:0], codes[:0]) == []


def test_items_of_one_semantic_id_all_have_a_leaf():
    found = branches(np.array(["a", "b"]), np.array([[1], [1]]))
    assert found == [{"code": "1", "item": "a"}, {"code": "1", "item": "b"}]
