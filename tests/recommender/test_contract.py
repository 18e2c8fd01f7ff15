"""What every finished model can do, whichever it is: one class of tests for all four."""

from __future__ import annotations

import copy
import json
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import MODELS
from planted_data import next_planted, planted_items

from recbole_store import load
from recbole_store.errors import RequestError, UnknownItemError

K = 10  # the longest list of the runs' tests
TEXT_OF = {name: (colour, shape) for name, colour, shape in planted_items()}
NAME_OF = {text: name for name, text in TEXT_OF.items()}


@pytest.fixture(scope="session")
def sequences(planted) -> dict[str, list[str]]:
    """Raw user id -> raw ids of all items, in the file's order, which is that of time."""
    rows = pd.read_csv(planted / "planted" / "planted.inter", sep="\t")
    return rows.groupby("user_id:token")["item_id:token"].agg(list).to_dict()


def same_lists(frame: pd.DataFrame, named: dict[str, list[str]]) -> None:
    """A frame of many holds these lists, in this order."""
    found = frame.groupby("user_id", sort=False)["item_id"].agg(list).to_dict()
    assert found.keys() == named.keys()
    wrong = {user for user in named if found[user] != named[user]}
    assert not wrong


def kept_lists(run, which: str) -> dict[str, list[str]]:
    """The run's own test: raw user id -> raw ids, best first."""
    arrays = run.lists
    rows = zip(arrays["users"], arrays[f"items_{which}"], strict=True)
    return {str(user): arrays["raw_ids"][[i for i in items if i]].tolist() for user, items in rows}


@pytest.fixture(scope="module", params=MODELS)
def run(request, finished):
    return finished(request.param)


@pytest.fixture(scope="module")
def store(run):
    """The model as the run left it; tests that add to it load their own."""
    return load(run.folder, device="cpu")


class TestContract:
    def test_lists_are_those_of_the_run_s_test(self, run, store, sequences):
        expected = kept_lists(run, "unfiltered")
        users = list(expected)
        histories = [sequences[user][:-1] for user in users]
        frame = store.recommend(histories, users=users, k=K, exclude_seen=False)
        same_lists(frame, expected)

    @pytest.mark.parametrize("size", [1, 7])
    def test_lists_do_not_depend_on_the_batch(self, run, store, sequences, size):
        expected = dict(list(kept_lists(run, "unfiltered").items())[-21:])
        users = list(expected)[::-1]
        parts = [
            store.recommend(
                [sequences[user][:-1] for user in users[start : start + size]],
                users=users[start : start + size],
                k=K,
                exclude_seen=False,
            )
            for start in range(0, len(users), size)
        ]
        same_lists(pd.concat(parts), {user: expected[user] for user in users})

    def test_seen_items_are_left_out_as_in_the_run_s_filtered_test(self, run, store, sequences):
        """The run keeps a target that a user had before; nobody knows one here."""
        again = {user for user, items in sequences.items() if items[-1] in items[:-1]}
        kept = kept_lists(run, "filtered")
        expected = {user: items for user, items in kept.items() if user not in again}
        assert 100 < len(expected) < 300
        rows = [(user, item) for user in expected for item in sequences[user][:-1]]
        frame = store.recommend(pd.DataFrame(rows, columns=["user_id", "item_id"]), k=K)
        same_lists(frame, expected)

    def test_a_frame_may_mix_users(self, store, sequences):
        users = ["u5", "u1"]
        long = max(len(sequences[user]) for user in users)
        rows = [
            (user, sequences[user][place])
            for place in range(long)
            for user in users
            if place < len(sequences[user])
        ]
        mixed = store.recommend(pd.DataFrame(rows, columns=["user_id", "item_id"]), k=3)
        lists = store.recommend([sequences[user] for user in users], users=users, k=3)
        pd.testing.assert_frame_equal(mixed, lists)

    def test_one_history_is_a_plain_table(self, run, store):
        items = list(TEXT_OF)[:3]
        frame = store.recommend(items=items, k=4)
        assert list(frame.columns) == ["item_id", "title", "score", "semantic_id"]
        assert len(frame) == 4 and frame["score"].is_monotonic_decreasing
        assert not set(frame["item_id"]) & set(items)
        assert [" ".join(TEXT_OF[raw]) for raw in frame["item_id"]] == frame["title"].tolist()
        has_codes = run.result["model"] in ("STORE", "TIGER")
        assert all((ids is not None) == has_codes for ids in frame["semantic_id"])

    def test_learnt_successors_come_first(self, store):
        """What the data planted, asked for one by one: items of three known texts."""
        right = 0
        for colour, shape in (("red", "square"), ("pink", "moon"), ("blue", "ring")):
            before = NAME_OF[(colour, shape)]
            found = store.recommend(items=[before], k=6)["item_id"].tolist()
            right += NAME_OF[next_planted(colour, shape)] in found
        assert right >= 2

    def test_all_that_is_left_is_ranked_and_nothing_is_invented(self, store):
        frame = store.recommend(items=list(TEXT_OF)[:5], k=1000)
        assert len(frame) == len(store) - 5 == frame["item_id"].nunique()
        assert np.isfinite(frame["score"]).all()

    def test_only_some_items(self, store):
        some = list(TEXT_OF)[10:14]
        frame = store.recommend(items=[some[0], "i000"], k=K, only=some)
        assert set(frame["item_id"]) == set(some[1:])
        mask = np.isin(store.catalogue.raw_ids[1:], some)
        pd.testing.assert_frame_equal(
            frame, store.recommend(items=[some[0], "i000"], k=K, only=mask)
        )
        whole = store.recommend(items=[some[0], "i000"], k=len(store))
        order = [raw for raw in whole["item_id"] if raw in some]
        assert frame["item_id"].tolist() == order
        with pytest.raises(RequestError, match="60 items, not 3"):
            store.recommend(items=["i000"], only=np.array([True, False, True]))
        with pytest.raises(RequestError, match="no item"):
            store.recommend(items=["i000"], only=[])

    def test_an_unknown_item_is_named_or_left_out(self, store):
        with pytest.raises(UnknownItemError, match="'nope' among its 60"):
            store.recommend(items=["i000", "nope"])
        left = store.recommend(items=["i000", "nope"], unknown="skip")
        pd.testing.assert_frame_equal(left, store.recommend(items=["i000"]))

    def test_behind_an_empty_history_come_the_most_frequent_items(self, store):
        counts = dict(zip(store.catalogue.raw_ids, store.catalogue.counts, strict=True))
        frame = store.recommend([[], ["i000"], ["nope"]], k=5, unknown="skip")
        for history in (0, 2):
            found = frame[frame["history"] == history]["item_id"].tolist()
            assert [counts[raw] for raw in found] == sorted(counts.values())[::-1][:5]
        alone = store.recommend(items=["i000"], k=5)["item_id"].tolist()
        assert frame[frame["history"] == 1]["item_id"].tolist() == alone

    def test_of_a_long_history_the_last_items_are_read_and_all_are_left_out(self, store):
        items = list(TEXT_OF)[:20]
        long = store.recommend(items=items, k=5, exclude_seen=False)
        last = store.recommend(items=items[-store.max_history :], k=5, exclude_seen=False)
        pd.testing.assert_frame_equal(long, last)
        assert not set(store.recommend(items=items, k=40)["item_id"]) & set(items)

    def test_an_item_twice_is_read_twice(self, store):
        twice = store.recommend(items=["i001", "i000", "i000"], k=5)
        assert "i000" not in twice["item_id"].tolist()
        once = store.recommend(items=["i001", "i000"], k=5)
        assert twice["score"].tolist() != once["score"].tolist()

    @pytest.mark.parametrize("k", [0, -1, 2.5, True])
    def test_k_is_a_number_of_items(self, store, k):
        with pytest.raises(RequestError, match="k"):
            store.recommend(items=["i000"], k=k)

    def test_either_one_history_or_many(self, store):
        for arguments in ({}, {"items": ["i000"], "histories": [["i000"]]}):
            with pytest.raises(RequestError, match="Give either"):
                store.recommend(**arguments)
        with pytest.raises(RequestError, match="recommend\\(items="):
            store.recommend(["i000"])

    def test_similar_items(self, store):
        frame = store.similar("i000", k=5)
        assert len(frame) == 5 and "i000" not in frame["item_id"].tolist()
        assert frame["score"].is_monotonic_decreasing
        with pytest.raises(UnknownItemError, match="'nope'"):
            store.similar("nope")

    def test_explain(self, run, store):
        items = [NAME_OF[("red", "circle")], NAME_OF[("red", "square")]]
        item = NAME_OF[("red", "star")]
        found = store.explain(item, items=items)
        assert found.title == "red star" and found.rank <= 5
        assert sum(found.shares.values()) == pytest.approx(1)
        parts = {
            "STORE": {"codes", "text", "id"},
            "TIGER": {"codes"},
            "SASRecAll": {"id"},
            "Neighbours": {"company", "text"},
        }
        assert found.shares.keys() == parts[run.result["model"]]
        assert set(found.moved["item_id"]) == set(items)
        assert found.moved["change"].abs().is_monotonic_decreasing
        json.dumps(found.as_dict())

    def test_explain_leaves_one_out(self, store):
        """The change is the score less that of the history without the item."""
        items, item = ["i003", "i010", "i020"], "i000"

        def score(history):
            listed = store.recommend(items=history, k=60, exclude_seen=False)
            return listed.set_index("item_id")["score"][item]

        found = store.explain(item, items=items)
        assert found.score == pytest.approx(score(items), abs=1e-4)
        changes = found.moved.set_index("item_id")["change"]
        assert changes["i010"] == pytest.approx(score(items) - score(["i003", "i020"]), abs=1e-4)

    def test_save_and_load_change_nothing(self, store, tmp_path, sequences):
        histories = [sequences[f"u{n}"] for n in range(20)]
        again = load(store.save(tmp_path / "copy"), device="cpu")
        pd.testing.assert_frame_equal(store.recommend(histories), again.recommend(histories))
        assert (again.catalogue.counts == store.catalogue.counts).all()


@pytest.fixture(scope="module")
def grown(run):
    """The model with one item more, whose text is that of another."""
    store = load(run.folder, device="cpu")
    added = store.add_items(pd.DataFrame([{"item_id": "new1", "colour": "red", "shape": "star"}]))
    assert added.raw_ids == ["new1"]
    return store


class TestNewItems:
    """A new item with a known item's text belongs to that item's users."""

    NEW = ("red", "star")

    def test_its_users_get_it_and_others_do_not(self, run, grown):
        """Next to last, as far as a model can: a last code was never seen."""

        def rank(colour: str) -> int:
            items = [NAME_OF[(colour, "circle")], NAME_OF[(colour, "square")]]
            return grown.recommend(items=items, k=61)["item_id"].tolist().index("new1") + 1

        most = {"STORE": 6, "SASRecAll": 6, "TIGER": 40, "Neighbours": 8}[run.result["model"]]
        assert rank("red") <= most
        assert rank("pink") > max(most, rank("red") + 5)
        likest = grown.similar(NAME_OF[self.NEW], k=3)["item_id"].tolist()
        assert "new1" in likest or run.result["model"] == "Neighbours"  # by company above all

    def test_it_gains_what_new_items_gain(self, run, grown, tmp_path):
        """Known items keep their order and, of a model without a softmax, their scores."""
        if run.result["model"] == "TIGER":  # which ranks by codes alone
            return
        store = copy.deepcopy(grown)
        assert store.new_item_bias == 0.0  # the run withheld nothing
        history = [NAME_OF[("pink", "circle")]]
        before = store.recommend(items=history, k=61)["item_id"].tolist()
        assert before.index("new1") > 0
        store.new_item_bias = 60.0
        after = store.recommend(items=history, k=61)["item_id"].tolist()
        assert after[0] == "new1"
        assert [item for item in after if item != "new1"][:5] == [
            item for item in before if item != "new1"
        ][:5]
        store.save(tmp_path / "raised")
        again = load(tmp_path / "raised", device="cpu")
        assert again.new_item_bias == 60.0
        assert again.recommend(items=history, k=1)["item_id"].tolist() == ["new1"]

    def test_known_items_keep_ids_codes_and_order(self, grown, store, sequences):
        histories = [sequences[f"u{n}"] for n in range(40)]
        assert grown.catalogue.raw_ids[:-1] == store.catalogue.raw_ids
        assert [grown.codes(i) for i in range(61)] == [store.codes(i) for i in range(61)]
        before = store.recommend(histories, k=60)
        after = grown.recommend(histories, k=61)
        after = after[after["item_id"] != "new1"].reset_index(drop=True)
        is_tied = before["score"].diff().abs().lt(1e-5) | before["score"].diff(-1).abs().lt(1e-5)
        same = after["item_id"] == before["item_id"]
        assert (same | is_tied).all()

    def test_a_history_may_hold_it(self, grown):
        found = grown.recommend(items=["new1"], k=6)["item_id"].tolist()
        assert "new1" not in found
        explained = grown.explain("new1", items=["i000", "i001"])
        assert explained.title == "red star"

    def test_the_same_rows_again_change_nothing(self, grown):
        before = {raw: grown.codes(item) for raw, item in grown.catalogue.item_ids.items()}
        rows = [
            {"item_id": "new1", "colour": "red", "shape": "star"},
            {"item_id": "i000", "colour": "other", "shape": "text"},
        ]
        added = grown.add_items(rows)
        assert added.raw_ids == [] and (added.n_known, added.n_other_text) == (2, 1)
        after = {raw: grown.codes(item) for raw, item in grown.catalogue.item_ids.items()}
        assert after == before

    def test_it_is_saved_and_loaded(self, grown, tmp_path, sequences):
        histories = [[*sequences[f"u{n}"], "new1"] for n in range(20)]
        again = load(grown.save(tmp_path / "grown"), device="cpu")
        assert again.catalogue.n_fitted == 60 and len(again) == 61
        pd.testing.assert_frame_equal(grown.recommend(histories), again.recommend(histories))
        row = {"item_id": "new2", "colour": "blue", "shape": "moon"}
        assert again.add_items([row]).raw_ids == ["new2"]

    def test_added_one_by_one_or_together_is_the_same(self, run, sequences):
        rows = [
            {"item_id": f"n{n}", "colour": colour, "shape": shape}
            for n, (colour, shape) in enumerate(
                [("red", "cube"), ("blue", "drop"), ("red", "cube")]
            )
        ]
        together, one_by_one = (load(run.folder, device="cpu") for _ in range(2))
        together.add_items(rows)
        for row in rows:
            one_by_one.add_items([row])
        histories = [sequences[f"u{n}"] for n in range(20)]
        pd.testing.assert_frame_equal(
            together.recommend(histories), one_by_one.recommend(histories), atol=1e-5
        )
        codes = [together.codes(together.catalogue.item_id(f"n{n}")) for n in (0, 2)]
        assert codes[0] is None or codes[0] != codes[1]  # the same text, but IDs of their own

    @pytest.mark.parametrize(
        ("row", "said"),
        [
            ({"colour": "red"}, "row 2: no `item_id`"),
            ({"item_id": float("nan"), "colour": "red"}, "row 2: no `item_id`"),
            ({"item_id": "x", "colour": None, "shape": " "}, "row 2: item x has no text"),
            ({"item_id": "good", "colour": "blue"}, "row 2: item good has come before"),
        ],
    )
    def test_a_bad_row_is_named_and_none_is_added(self, run, row, said):
        store = load(run.folder, device="cpu")
        rows = [{"item_id": "good", "colour": "red", "shape": "star"}, row]
        with pytest.raises(RequestError, match=said):
            store.add_items(rows)
        assert len(store) == 60 and "good" not in store.catalogue.item_ids
        store.recommend(items=["i000"])


def test_counts_are_those_of_training(store, sequences):
    """Sequential data have no row for a user's first item; the last two are not training's."""
    expected = Counter(item for items in sequences.values() for item in items[1:-2])
    found = dict(zip(store.catalogue.raw_ids[1:], store.catalogue.counts[1:].tolist(), strict=True))
    assert found == {raw: expected[raw] for raw in found}


def test_nothing_is_left_of_a_seed(run):
    """Loading draws random numbers, but nobody outside should see it."""
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    load(run.folder, device="cpu")
    assert torch.rand(1) == expected
