"""A data set's own property file is checked as the command line is, and filters fit its columns."""

from __future__ import annotations

import pytest

from recbole_store.errors import SettingsError
from recbole_store.settings.defaults import plugin_defaults
from recbole_store.settings.resolve import resolve

ROWS = [("u1", f"i{n}", n) for n in range(5)]
ITEMS = ["item_id:token\tbrand:token\tprice:float", "i1\tacme\t2.5"]


@pytest.fixture
def films(write_dataset):
    """The data_path of a data set, and its own property file."""
    data_path = write_dataset("films", ROWS, ITEMS)
    return data_path, data_path / "films" / "films.yaml"


def resolved(films, content: str | None = None, model: str = "STORE", **typed) -> dict:
    data_path, file = films
    if content is not None:
        file.write_text(content)
    return resolve(model, "films", [], {"data_path": str(data_path), **typed})


def refusal(*arguments, **typed) -> str:
    with pytest.raises(SettingsError) as error:
        resolved(*arguments, **typed)
    message = str(error.value)
    assert "\n" not in message and message.endswith("."), message
    return message


def test_a_data_set_describes_itself(films):
    content = "RATING_FIELD: stars\nitem_text: {brand: 'by {}'}\nMAX_ITEM_LIST_LENGTH: 20\n"
    found = resolved(films, content)
    assert found["RATING_FIELD"] == "stars" and found["item_text"] == {"brand": "by {}"}
    assert found["MAX_ITEM_LIST_LENGTH"] == 20
    assert resolved(films, MAX_ITEM_LIST_LENGTH="7")["MAX_ITEM_LIST_LENGTH"] == 7, "typed wins"


def test_a_part_of_the_protocol_may_be_the_data_s_own(films):
    found = resolved(films, "eval_args: {mode: uni50}\n")
    whole = resolved(films, "")["eval_args"]
    assert found["eval_args"] == {**whole, "mode": "uni50"} and whole["mode"] == "full"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("lod_col: {inter: [user_id]}", ["Unknown property `lod_col` in ", "`load_col`"]),
        ("MAX_ITEM_LIST_LENGTH: many", ["`MAX_ITEM_LIST_LENGTH` is 'many' in ", "an integer"]),
        ("user_inter_num_interval: 7", ["`user_inter_num_interval` is 7 in ", "[5,inf)"]),
        ("learning_rate: 1", ["sets `learning_rate`", "take it out", "--learning_rate=VALUE"]),
        ("num_beams: 50", ["sets `num_beams`", "take it out"]),
        ("dataset_save_path: evil.pth", ["sets `dataset_save_path`", "take it out"]),
        ("dataloaders_save_path: evil.pth", ["sets `dataloaders_save_path`", "take it out"]),
        ("data_path: elsewhere", ["sets `data_path`", "take it out"]),
        ("checkpoint_dir: /", ["sets `checkpoint_dir`", "take it out"]),
        ("item_text: [title]", ["`item_text` is ['title'] in "]),
        ("item_text: {brand: 5}", [": `item_text` has 5 for brand"]),
        ("eval_args: {ordr: RO}", [": `eval_args` has no key `ordr`"]),
        ("a: ]", ["not valid YAML"]),
    ],
)
@pytest.mark.parametrize("model", ["STORE", "Pop"])
def test_what_a_data_set_s_own_file_may_not_say(films, content, words, model):
    message = refusal(films, content, model)
    assert "films.yaml" in message and all(word in message for word in words), message


def test_recbole_s_own_route_checks_it_as_well(films):
    """``run_recbole`` merges these defaults, and nothing else looks at them."""
    data_path, file = films
    file.write_text("dataset_save_path: evil.pth")
    with pytest.raises(SettingsError, match="dataset_save_path"):
        plugin_defaults("STORE", "films", data_path)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("{price: 3}", ["3 for price", "[3,inf)"]),
        ("{price: '[3,inf'}", ["'[3,inf' for price", "[3,inf)"]),
        ("{price: [3, 4, 5]}", ["[3, 4, 5] for price", "interval"]),
        ("{brand: acme}", ["'acme' for brand", "a list"]),
        ("{brand: '[1,2]'}", ["'[1,2]' for brand", "a list"]),
        ("{cost: '[1,2]'}", ["'[1,2]' for cost", "no such column"]),
        ("{prise: '[1,2]'}", ["no such column (did you mean `price`?)"]),
        ("[price]", ["`val_interval` is ['price']"]),
    ],
)
def test_value_filters_that_would_filter_nothing(films, wanted, words):
    message = refusal(films, val_interval=wanted)
    assert "`val_interval`" in message and all(word in message for word in words), message


@pytest.mark.parametrize(
    "wanted",
    ["{price: '[3,inf)'}", "{price: [3, 5]}", "{brand: [acme]}", "{timestamp: '(0,9]'}", "null"],
)
def test_value_filters(films, wanted):
    assert "val_interval" in resolved(films, val_interval=wanted)
