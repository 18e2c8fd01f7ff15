"""Texts of any characters: read as they are, or refused in one sentence."""

from __future__ import annotations

import json

import pytest
from fuzzing import fuzzed, texts, told, trees, with_odd_bytes
from hypothesis import given
from hypothesis import strategies as st

from recbole_store.data.item_texts import read_item_texts
from recbole_store.tokenizer.nearest import WordBags

LINES = "".join(json.dumps({"item_id": f"i{n}", "title": f"Title {n}"}) + "\n" for n in range(3))
RAW_IDS = ["[PAD]", "i0", "i1", "i2"]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "toy").mkdir()
    return tmp_path / "toy"


@given(title=st.one_of(texts, st.text(max_size=200)))
@fuzzed(100)
def test_fuzzed_titles_are_kept(folder, title):
    row = {"item_id": "i0", "title": title}
    (folder / "toy.text.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    found = told(read_item_texts, folder, "toy", RAW_IDS, templates={"title": "{}"})
    expected = title.encode("utf-16", "surrogatepass").decode("utf-16", "replace").strip()
    if expected and found is not None:
        assert found[1] and "".join(found[1]).encode(), "any file can hold it"
        if title.isprintable():
            assert found[1] == [title.strip()]
    else:
        assert found is None, "none of the items has a text"


@given(
    content=st.one_of(with_odd_bytes(LINES.encode()), trees.map(lambda t: json.dumps(t).encode()))
)
@fuzzed(100)
def test_fuzzed_files_of_texts(folder, content):
    (folder / "toy.text.jsonl").write_bytes(content)
    told(read_item_texts, folder, "toy", RAW_IDS)


@given(content=with_odd_bytes(b"item_id:token\ttitle:token_seq\ni0\tTitle\ni1\tOther\n"))
@fuzzed(60)
def test_fuzzed_item_files(folder, content):
    (folder / "toy.item").write_bytes(content)
    told(read_item_texts, folder, "toy", RAW_IDS)


@given(several=st.lists(st.one_of(texts, st.text(max_size=60)), min_size=1, max_size=5))
@fuzzed(60)
def test_fuzzed_bags_of_words(several):
    bags = WordBags(["", *several])
    rows = bags(["", *several])
    assert rows.shape[0] == len(several) + 1 and not (rows.data != rows.data).any()
