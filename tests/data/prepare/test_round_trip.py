"""Any text survives preparation, RecBole and the reader of item texts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recbole_store.data.prepare import command
from recbole_store.data.prepare.atomic_text import clean_text
from recbole_store.experiments.run.build import build
from recbole_store.settings.resolve import resolve

UGLY = [
    '"Quoted" and on',
    '"',
    "None",
    "NA",
    "two  spaces",
    "tab\there, line\r\nthere",
    "AT&amp;T",
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "\U0001f469\u200d\U0001f467 emoji",
    "#hash, comma; 'single'",
    "\u2028 line separator \u2028 inside",
]
TEXTS = st.text(st.characters(), max_size=40) | st.sampled_from(UGLY)


def prepared(folder: Path, titles: list[str], ids: list[str] | None = None) -> Path:
    """A table of four items in three histories; returns data_path."""
    ids = ids or [f"i{n}" for n in range(len(titles))]
    rows = [
        {"user": user, "item": item, "time": 1_600_000_000 + n, "title": title}
        for user in ("u1", "u2", "u3")
        for n, (item, title) in enumerate(zip(ids, titles, strict=True))
    ]
    raw = folder / "raw.jsonl"
    raw.write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["table", "--raw", str(raw), "--out", str(folder / "data" / "toy"), "--force"]
    words += ["--user=user", "--item=item", "--time=time", "--text", "title"]
    assert command.main(words) == 0
    return folder / "data"


def loaded(data_path: Path, tiny_llm: Path, **more):
    """The prepared data set as a run of STORE has it: only its name is given."""
    typed = {"data_path": str(data_path), "codebook_size": "2", "backbone": str(tiny_llm)}
    chosen = resolve("STORE", "toy", [], typed)
    return build("STORE", "toy", {**chosen, "gpu_id": "", **more})[1]


def texts_by_id(dataset) -> dict[str, str]:
    ids = dataset.field2id_token["item_id"]
    return {str(ids[n]): " ".join(dataset.item_texts[n]) for n in range(1, dataset.item_num)}


def test_ugly_texts_arrive_intact(tmp_path, tiny_llm):
    dataset = loaded(prepared(tmp_path, UGLY), tiny_llm)
    assert texts_by_id(dataset) == {f"i{n}": clean_text(text) for n, text in enumerate(UGLY)}


def test_features_load_as_well(tmp_path, tiny_llm):
    """``NAME.item`` for models that take features: every item, the quote at the start included."""
    columns = {"inter": ["user_id", "item_id", "timestamp"], "item": ["item_id", "title"]}
    dataset = loaded(prepared(tmp_path, UGLY), tiny_llm, load_col=columns)
    assert dataset.item_num - 1 == len(UGLY)
    words = dataset.field2id_token["title"]
    first = dataset.field2token_id["item_id"]["i0"]
    (row,) = dataset.item_feat["title"][dataset.item_feat["item_id"] == first]
    assert [words[n] for n in row if n] == ["'Quoted'", "and", "on"]


@given(titles=st.lists(TEXTS, min_size=4, max_size=4))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_text_survives(tmp_path_factory, tiny_llm, titles):
    titles[0] = titles[0] + "x"  # no text at all is an error of its own
    dataset = loaded(prepared(tmp_path_factory.mktemp("any"), titles), tiny_llm)
    assert texts_by_id(dataset) == {f"i{n}": clean_text(text) for n, text in enumerate(titles)}


@given(ids=st.lists(TEXTS.filter(str.strip), min_size=4, max_size=4, unique_by=str.strip))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_id_survives(tmp_path_factory, tiny_llm, ids):
    """As many items as there were, each with its own text, in the right order of the history."""
    titles = [f"title {n}" for n in range(4)]
    columns = {"inter": ["user_id", "item_id", "timestamp"], "item": ["item_id", "title"]}
    data_path = prepared(tmp_path_factory.mktemp("any"), titles, ids)
    dataset = loaded(data_path, tiny_llm, load_col=columns)
    assert dataset.item_num - 1 == 4
    history = dataset.inter_feat["item_id"].tolist()[::3]  # of three users at the same times
    assert [" ".join(dataset.item_texts[n]) for n in history] == titles


@pytest.mark.parametrize("model", ["STORE", "SASRec", "Pop"])
def test_items_that_nobody_has_are_candidates_of_every_model(tmp_path, tiny_llm, model):
    (tmp_path / "raw.csv").write_text("user,item,time\nu,a,1\nu,b,2\nu,c,3\nu,d,4\n")
    titles = {name: f"title {name}" for name in "abcxyz"}  # d is not described
    lines = ["item,title", *(",".join(pair) for pair in titles.items())]
    (tmp_path / "items.csv").write_text("\n".join(lines) + "\n")
    raw = ["--raw", str(tmp_path / "raw.csv"), "--items", str(tmp_path / "items.csv")]
    assert command.main(["table", *raw, "--out", str(tmp_path / "data" / "toy")]) == 0
    typed = {"data_path": str(tmp_path / "data")}
    if model == "STORE":
        typed |= {"codebook_size": "2", "backbone": str(tiny_llm)}
    dataset = build(model, "toy", {**resolve(model, "toy", [], typed), "gpu_id": ""})[1]
    assert set(dataset.field2id_token["item_id"][1:]) == set("abcdxyz")
    if model == "STORE":
        assert texts_by_id(dataset) == {**titles, "d": ""}


def test_it_runs_by_its_name(tmp_path, tiny_llm):
    """The property file that preparation wrote is read, from wherever data_path is."""
    data_path = prepared(tmp_path, ["one", "two", "three", "four"])
    chosen = resolve("SASRec", "toy", [], {"data_path": str(data_path)})
    assert chosen["load_col"] == {"inter": ["user_id", "item_id", "timestamp"]}
    assert chosen["item_text"] == {"title": "{}"}
    typed = {"data_path": str(data_path), "item_text": '{title: "A {}"}'}
    assert resolve("STORE", "toy", [], typed)["item_text"] == {"title": "A {}"}


def test_vanilla_recbole_reads_it_too(tmp_path):
    from recbole.config import Config

    data_path = prepared(tmp_path, ["one", "two", "three", "four"])
    own = {"data_path": str(data_path), "gpu_id": ""}
    assert Config(model="STORE", dataset="toy", config_dict=own)["item_text"] == {"title": "{}"}


@pytest.mark.parametrize("title", ["", "\x00", " "])
def test_items_without_text_are_counted(tmp_path, title):
    prepared(tmp_path, ["one", title])
    card = json.loads((tmp_path / "data" / "toy" / "toy.card.json").read_text())
    assert card["text"]["without_text"] == 1
