"""Settings of any type, beyond any range and in any company: a run, or one sentence."""

from __future__ import annotations

import json
import math

import pytest
import yaml
from fuzzing import fuzzed, numbers, runs_of, texts, told, trees
from hypothesis import given
from hypothesis import strategies as st

import run_recbole_store
from recbole_store.settings.declared import Declared, Form
from recbole_store.settings.keys import declared_keys
from recbole_store.settings.property_files import PLUGIN_MODELS, parse_value
from recbole_store.settings.resolve import resolve

MODELS = (*PLUGIN_MODELS, "Pop", "BPR", "SASRec", "GRU4Rec", "SASRecF", "FM")
# Where a run reads and writes is not to be drawn.
FOLDERS = {"data_path", "checkpoint_dir"}
COLUMNS = st.sampled_from(["user_id", "item_id", "timestamp", "title", "item_id_list", "rating"])


@pytest.fixture
def toy(write_dataset):
    rows = [(f"u{u}", f"i{(u + n * n) % 9}", 1000 * u + n) for u in range(12) for n in range(7)]
    items = ["item_id:token\ttitle:token_seq", *(f"i{n}\ttitle {n}" for n in range(9))]
    return write_dataset("toy", rows, items)


def values_of(declared: Declared):
    """Values that a key may have, and others."""
    fitting = [_of_form(form) for form in declared.forms]
    lists = st.lists(COLUMNS, max_size=3)
    columns = st.one_of(COLUMNS, lists, st.dictionaries(COLUMNS, trees, max_size=2))
    by_file = st.dictionaries(st.sampled_from(["inter", "item", "user"]), lists, max_size=2)
    return st.one_of(*fitting, *fitting, trees, columns, by_file)


def _of_form(form: Form):
    if form.choices:
        return st.sampled_from(form.choices)
    if form.entries is not None:
        inner = _of_form(form.entries)
        is_dict = form.type == "dict"
        return (
            st.dictionaries(COLUMNS, inner, max_size=2) if is_dict else st.lists(inner, max_size=3)
        )
    if form.bounds is not None:
        ends = [n for n in (form.bounds.low, form.bounds.high) if math.isfinite(n)]
        if form.type == "int":
            return st.sampled_from([int(n) + d for n in ends for d in (-1, 0, 1, 2)])
        return st.sampled_from([n + d for n in ends for d in (-0.1, 0, 0.1)])
    of_type = {"int": st.integers(-1, 3), "float": numbers, "bool": st.booleans()}
    interval = st.sampled_from(["[0,inf)", "[2,9]", "(0,5000)", "[8,inf)", "[3,1]"])
    return of_type.get(form.type, interval if form.type == "interval" else texts)


def as_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


PROTOCOLS = st.sampled_from(
    [
        *({"mode": mode} for mode in ("uni5", "pop100", "labeled", {"valid": "uni5"})),
        *({"split": {kind: [8, 1, 1]}} for kind in ("RS", "TS")),
        {"split": {"RS": [1e-9, 1, 1]}, "group_by": None},
        *({"order": "RO"}, {"group_by": "none"}, {"order": "RO", "mode": "uni100"}),
    ]
)


@st.composite
def allowed_settings(draw, models):
    """A model, and values of which each by itself would do."""
    model = draw(st.sampled_from(models))
    known = {key: one for key, one in declared_keys([model]).items() if _is_bounded(one)}
    names = sorted(known.keys() - FOLDERS)
    keys = draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))
    found = {}
    for key in keys:
        form = draw(st.sampled_from(known[key].forms))
        found[key] = draw(_of_form(form).filter(form.fits))
    if draw(st.booleans()):
        found["eval_args"] = draw(PROTOCOLS)
    return model, found


def _is_bounded(declared: Declared) -> bool:
    forms = declared.forms
    return bool(forms) and all(
        f.choices or f.bounds or f.type in ("bool", "interval") for f in forms
    )


@st.composite
def some_settings(draw, models=MODELS, most=3):
    """A model, and values of a few of its keys."""
    model = draw(st.sampled_from(models))
    known = declared_keys([model])
    names = sorted(known.keys() - FOLDERS)
    keys = draw(st.lists(st.sampled_from(names), min_size=1, max_size=most, unique=True))
    return model, {key: draw(values_of(known[key])) for key in keys}


@given(text=st.one_of(texts, trees.map(lambda tree: json.dumps(tree))))
@fuzzed(150)
def test_fuzzed_values(text):
    told(parse_value, text)


@given(drawn=some_settings())
@fuzzed(150)
def test_fuzzed_settings(toy, tmp_path, drawn):
    """In a property file, and as they are typed."""
    model, given_settings = drawn
    path = tmp_path / "some.yaml"
    path.write_text(yaml.safe_dump(given_settings), encoding="utf-8")
    told(resolve, model, "toy", [path], {"data_path": str(toy)})
    typed = {key: yaml.safe_dump(value, width=9e9) for key, value in given_settings.items()}
    told(resolve, model, "toy", [], {**typed, "data_path": str(toy)})


@given(drawn=some_settings(), content=st.one_of(st.binary(max_size=60), texts.map(as_bytes)))
@fuzzed(60)
def test_fuzzed_property_files_of_data(toy, drawn, content):
    own = toy / "toy" / "toy.yaml"
    for written in (yaml.safe_dump(drawn[1]).encode(), content):
        own.write_bytes(written)
        told(resolve, drawn[0], "toy", [], {"data_path": str(toy)})


@given(drawn=allowed_settings(models=("Pop", "BPR", "SASRec", "SASRecAll", "Neighbours")))
@fuzzed(20)
def test_fuzzed_runs(toy, tmp_path, capsys, drawn):
    """To the end: what is not refused at first has a result whose figures are numbers."""
    model, changes = drawn
    known = declared_keys([model])
    small = {"epochs": 1, "hidden_size": 8, "inner_size": 8, "embedding_size": 8, "gpu_id": ""}
    drawn_settings = {k: v for k, v in small.items() if k in known} | changes
    drawn_settings["epochs"] = min(drawn_settings["epochs"], 1)
    path = tmp_path / "some.yaml"
    path.write_text(yaml.safe_dump(drawn_settings), encoding="utf-8")
    words = [f"--model={model}", "--dataset=toy", f"--data_path={toy}", f"--config_files={path}"]
    words += ["--no_table", "--run_dir=run", "--again"]
    status = runs_of(run_recbole_store.main, words, capsys)
    if status == 0:
        result = json.loads((tmp_path / "run" / "result.json").read_text())
        found = [value for part in result["tests"].values() for value in part.values()]
        assert found and all(math.isfinite(value) for value in found)
