"""New items of any text and id, in any order: IDs are unique, the tree fits, old ones stay."""

from __future__ import annotations

import copy
from collections import Counter

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recbole_store import load
from recbole_store.errors import DisambiguationOverflow, NoCodesError, RequestError
from recbole_store.recommender.catalogue import PADDING
from recbole_store.recommender.new_items import free_ids


@pytest.fixture(scope="module")
def trained(finished):
    return load(finished("STORE").folder, device="cpu")


WORDS = st.lists(st.sampled_from(["red", "blue", "star", "moon", "Ω", "=1+1", "\t", "x y"]))
IDS = st.one_of(
    st.text(min_size=1).filter(lambda raw: raw.strip() not in ("", PADDING)),
    st.sampled_from(["i000", "i001", "a", "b", " a "]),
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {"item_id": IDS, "colour": WORDS.map(" ".join), "shape": st.text(max_size=8)}
    ).filter(lambda row: (row["colour"] + row["shape"]).strip()),
    max_size=6,
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=ROWS, seed=st.randoms(use_true_random=False))
def test_whatever_is_added(trained, rows, seed):
    store = copy.deepcopy(trained)
    before = {raw: store.codes(item) for raw, item in store.catalogue.item_ids.items()}
    seed.shuffle(rows)
    texts: dict[str, set] = {}
    for row in rows:
        raw = row["item_id"].strip()
        if raw not in before:
            text = " ".join(filter(None, (row["colour"].strip(), row["shape"].strip())))
            texts.setdefault(raw, set()).add(text)
    if any(len(found) > 1 for found in texts.values()):
        with pytest.raises(RequestError, match="with another text"):
            store.add_items(rows)
        assert len(store) == len(trained)
        return
    added = store.add_items(rows)
    assert sorted(added.raw_ids) == sorted(texts)
    after = {raw: store.codes(item) for raw, item in store.catalogue.item_ids.items()}
    assert {raw: after[raw] for raw in before} == before
    assert len(set(after.values())) == len(after) == 60 + len(texts)
    trie = store.model.trie
    assert len(trie) == len(after)
    leaves = trie.leaves_of(torch.arange(1, len(after) + 1))
    assert trie.items(leaves).tolist() == list(range(1, len(after) + 1))
    found = store.recommend(items=["i000"], k=len(after))
    assert set(found["item_id"]) == after.keys() - {"i000"}
    assert store.add_items(rows).raw_ids == []


def test_the_same_rows_give_the_same_ids(trained):
    rows = [
        {"item_id": f"n{n}", "colour": "red", "shape": shape}
        for n, shape in enumerate(["star", "moon", "star", "cube"])
    ]
    one, other = copy.deepcopy(trained), copy.deepcopy(trained)
    one.add_items(rows)
    other.add_items(rows)
    assert [one.codes(61 + n) for n in range(4)] == [other.codes(61 + n) for n in range(4)]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_free_ids(data):
    """By brute force: whoever comes first gets the lowest code that nobody has."""
    pairs = st.tuples(st.integers(0, 2), st.integers(0, 2))
    taken = data.draw(st.lists(st.tuples(pairs, st.integers(0, 4)), unique=True, max_size=12))
    codes = data.draw(st.lists(pairs, min_size=1, max_size=8))
    rows = [[*pair, last] for pair, last in taken]
    table = torch.tensor(rows, dtype=torch.long).view(-1, 3)
    needed = Counter(codes)
    room = {pair: 5 - sum(p == pair for p, _ in taken) for pair in needed}
    if any(needed[pair] > room[pair] for pair in needed):
        with pytest.raises(DisambiguationOverflow, match="No item was added"):
            free_ids(torch.tensor(codes), table, 5)
        return
    found = free_ids(torch.tensor(codes), table, 5).tolist()
    used = {tuple(row) for row in rows}
    for pair, row in zip(codes, found, strict=True):
        lowest = next(n for n in range(5) if (*pair, n) not in used)
        assert row == [*pair, lowest]
        used.add(tuple(row))


def test_full_codes_are_told_before_anything_changes(trained):
    store = copy.deepcopy(trained)
    rows = [{"item_id": f"n{n}", "colour": "red", "shape": "star"} for n in range(16)]
    with pytest.raises(DisambiguationOverflow, match="1 new items find no free code"):
        store.add_items(rows)  # 16 codes, of which the known red star has one
    assert len(store) == 60 and store.model.n_items == 61
    assert len(store.add_items(rows[:15]).raw_ids) == 15


def test_codes_that_say_nothing_take_no_new_items(finished, tiny_llm, planted, tmp_path):
    from planted_store import working_in
    from planted_tiger import tiger_settings

    from recbole_store.experiments.run.run import run_model
    from recbole_store.settings.defaults import plugin_defaults

    settings = {**plugin_defaults("TIGER", "planted", planted), **tiger_settings(planted)}
    with working_in(tmp_path):
        run_model("TIGER", "planted", settings, tmp_path / "run")
    store = load(tmp_path / "run" / "model", device="cpu")
    with pytest.raises(NoCodesError, match="tokenizer: random"):
        store.add_items([{"item_id": "n", "colour": "red", "shape": "star"}])
    assert len(store) == 60
    assert len(store.similar("i000", k=3)) == 3  # by the words of their texts
