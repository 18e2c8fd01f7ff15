"""What a run may be told: values, what wins, and every way to get a setting wrong."""

from __future__ import annotations

import json
import os

import pytest

from recbole_store.errors import SettingsError
from recbole_store.settings.profile import Profile
from recbole_store.settings.property_files import (
    PLUGIN_MODELS,
    parse_value,
    properties_folder,
    read_properties,
    variant_name,
)
from recbole_store.settings.resolve import resolve

ROOT = properties_folder()
INTERACTIONS = [("u1", f"i{n}", n) for n in range(5)]


def message_of(*arguments, **options) -> str:
    """The message of the SettingsError that ``resolve`` raises: one sentence, one line."""
    with pytest.raises(SettingsError) as error:
        resolve(*arguments, **options)
    message = str(error.value)
    assert "\n" not in message and message.endswith("."), message
    return message


# Reading values


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("-3", -3),
        ("0.5", 0.5),
        ("1e-3", 0.001),
        ("-2.5E+4", -25_000.0),
        (".5e1", 5.0),
        ("[1,5]", [1, 5]),
        ("[1e-3]", [0.001]),
        ("{mode: full}", {"mode": "full"}),
        ("True", True),
        ("null", None),
        ("~", None),
        ("", None),
        ("NDCG@10", "NDCG@10"),
        ("2024-10-11", "2024-10-11"),
        ("2024-10-11 12:00:00", "2024-10-11 12:00:00"),
        ("os.getpid()", "os.getpid()"),
        ("__import__('os').getpid()", "__import__('os').getpid()"),
        ("1 + 1", "1 + 1"),
        ("e5", "e5"),
    ],
)
def test_parse_value(text, value):
    parsed = parse_value(text)
    assert parsed == value and type(parsed) is type(value)


def test_parse_value_leaves_strings_alone():
    assert parse_value("[5,inf)", is_text=True) == "[5,inf)"
    assert parse_value("007", is_text=True) == "007"
    assert parse_value("User: ", is_text=True) == "User: "
    assert parse_value("null", is_text=True) is None


@pytest.mark.parametrize("text", ["[5,inf)", "{a", "a: b: c", "!!python/name:os.getpid", "'x"])
def test_parse_value_refuses(text):
    with pytest.raises(SettingsError, match="not valid YAML") as error:
        parse_value(text)
    assert "\n" not in str(error.value)


def test_nothing_is_evaluated(tmp_path):
    """RecBole's own Config would run both of these."""
    for text in (f"os.mkdir('{tmp_path}/x')", f"__import__('os').mkdir('{tmp_path}/x')"):
        assert resolve("STORE", "ml-100k", [], {"backbone": text})["backbone"] == text
    file = tmp_path / "evil.yaml"
    file.write_text(f"backbone: !!python/object/apply:os.mkdir ['{tmp_path}/x']\n")
    assert "not valid YAML" in message_of("STORE", "ml-100k", [file], {})
    assert os.listdir(tmp_path) == ["evil.yaml"]


def test_property_files(tmp_path):
    file = tmp_path / "some.yaml"
    file.write_text("learning_rate: 1e-3\nseed: 7 # as ever\nwandb_project: 2024-10-11\n")
    expected = {"learning_rate": 0.001, "seed": 7, "wandb_project": "2024-10-11"}
    assert read_properties(file) == expected
    file.write_text("# nothing but a comment\n")
    assert read_properties(file) == {}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, ["Cannot read", "No such file"]),
        (b"- a\n- list\n", ["key: value"]),
        (b"just text\n", ["key: value"]),
        (b"a: 1\nb: ]\nc: 2\n", ["line 2", "not valid YAML"]),
        (b"a: \xe9\n", ["not valid YAML"]),
        (b"a: !!python/name:os.getpid\n", ["line 1", "not valid YAML"]),
        (b"5: five\n", ["5"]),
        (b"on: 1\n", ["True"]),
        (b"[a, b]: 1\n", ["a"]),
    ],
)
def test_bad_property_files(tmp_path, content, words):
    file = tmp_path / "bad.yaml"
    if content is not None:
        file.write_bytes(content)
    message = message_of("STORE", "ml-100k", [file], {})
    assert all(word in message for word in words), message


# Merging


def test_later_wins(tmp_path):
    first, second = tmp_path / "1.yaml", tmp_path / "2.yaml"
    first.write_text("epochs: 1\nseed: 1\nnum_beams: 30\n")
    second.write_text("epochs: 2\nseed: 2\n")
    resolved = resolve("STORE", "ml-100k", [first, second], {"epochs": "3"})
    assert [resolved[key] for key in ("epochs", "seed", "num_beams")] == [3, 2, 30]
    assert resolved["n_slots"] == read_properties(ROOT / "model" / "STORE.yaml")["n_slots"]


def test_a_variant_wins_over_defaults_and_profile_and_the_user_over_it(tmp_path):
    """The profile trains the alignment, the variant leaves it out."""
    profile, variant = Profile.of_file("full"), "without_alignment"
    assert profile.settings["align_weight"] == 1
    resolved = resolve("STORE", "ml-100k", [], {}, profile=profile, variant=variant)
    assert resolved["align_weight"] == 0 and resolved["backbone_layers"] is None
    assert resolve("STORE", "ml-100k", [], {})["align_weight"] > 0
    file = tmp_path / "mine.yaml"
    file.write_text("align_weight: 0.3\n")
    assert resolve("STORE", "ml-100k", [file], {}, variant=variant)["align_weight"] == 0.3
    typed = {"align_weight": "0.4"}
    assert resolve("STORE", "ml-100k", [file], typed, variant=variant)["align_weight"] == 0.4


def test_partial_eval_args_keep_the_protocol():
    protocol = read_properties(ROOT / "overall.yaml")["eval_args"]
    resolved = resolve("SASRec", "ml-100k", [], {"eval_args": "{mode: uni100}"})
    assert resolved["eval_args"] == {**protocol, "mode": "uni100"}
    assert protocol["mode"] == "full"
    assert resolve("Pop", "ml-100k", [], {})["eval_args"] == protocol


def test_all_models_share_the_protocol():
    """RecBole would give Pop a random split and hide its users' histories."""
    shared = ("eval_args", "repeatable", "exact_time_order", "metrics", "topk", "valid_metric")
    store, *others = (
        resolve(model, "ml-100k", [], {}) for model in ("STORE", "SASRec", "Pop", "BPR")
    )
    for other in others:
        assert {key: other[key] for key in shared} == {key: store[key] for key in shared}
        assert other["load_col"] == store["load_col"]


def test_negative_samples():
    """RecBole refuses to run a full softmax with its own default of negative samples."""
    for model in ("SASRec", "GRU4Rec", "STORE"):
        assert resolve(model, "ml-100k", [], {})["train_neg_sample_args"] is None
    assert "train_neg_sample_args" not in resolve("BPR", "ml-100k", [], {})
    pairwise = resolve("SASRec", "ml-100k", [], {"loss_type": "BPR"})
    assert "train_neg_sample_args" not in pairwise


def test_item_columns_are_loaded_for_models_that_read_them():
    """RecBole's SASRecF fails at a column that is not loaded; all others need none."""
    interactions = ["user_id", "item_id", "rating", "timestamp"]
    for model in ("STORE", "SASRec"):
        typed = {"selected_features": "[release_year]"}
        others = resolve(model, "ml-100k", [], typed, models=[model, "SASRecF"])
        assert others["load_col"] == {"inter": interactions}
        assert "item_inter_num_interval" not in others
    both = {"inter": interactions, "item": ["item_id", "class"]}
    assert resolve("SASRecF", "ml-100k", [], {})["load_col"] == both
    typed = {"selected_features": "[class, release_year]"}
    columns = resolve("SASRecF", "ml-100k", [], typed)["load_col"]
    assert columns["item"] == ["item_id", "class", "release_year"]
    assert resolve("GRU4RecF", "ml-100k", [], {"load_col": "null"})["load_col"] is None
    typed = {
        "load_col": "{inter: [user_id, item_id, timestamp], item: '*'}",
        "item_inter_num_interval": "[5,inf)",
    }
    found = resolve("SASRecF", "ml-100k", [], typed)
    assert found["load_col"]["item"] == "*" and found["item_inter_num_interval"] == "[5,inf)"


@pytest.mark.parametrize("features", ["[genre]", "[]", "null", "[class, item_id]"])
def test_item_columns_that_are_not_there(features):
    message = message_of("SASRecF", "ml-100k", [], {"selected_features": features})
    assert "`selected_features`" in message
    assert message.endswith("ml-100k.item has movie_title, release_year, class.")


def test_item_columns_of_a_dataset_without_items(write_dataset):
    data_path = write_dataset("films", INTERACTIONS)
    message = message_of("SASRecF", "films", [], {"data_path": str(data_path)})
    assert message.endswith("films.item has none.")


def test_keys_of_another_model_of_the_comparison():
    """They are known, but no affair of this model's, which may have heads of its own."""
    both = ["STORE", "SASRec"]
    assert resolve("SASRec", "ml-100k", [], {"n_heads": "4"}, both)["n_heads"] == 4
    assert "n_heads" not in resolve("STORE", "ml-100k", [], {"n_heads": "4"}, both)
    assert "Unknown property `n_heads`" in message_of("STORE", "ml-100k", [], {"n_heads": "4"})


# Wrong settings


@pytest.mark.parametrize(
    ("typo", "meant"),
    [("num_beam", "num_beams"), ("NUM_BEAMS", "num_beams"), ("learning_rte", "learning_rate")],
)
def test_unknown_key_names_the_nearest(typo, meant, tmp_path):
    expected = f"Unknown property `{typo}` (did you mean `{meant}`?)."
    assert message_of("STORE", "ml-100k", [], {typo: "20"}) == expected
    file = tmp_path / "typo.yaml"
    file.write_text(f"{typo}: 20\n")
    expected = f"Unknown property `{typo}` in {file} (did you mean `{meant}`?)."
    assert message_of("STORE", "ml-100k", [file], {}) == expected


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("n_levels", "n_slots"),
        ("max_text_words", "max_text_tokens"),
        ("item_weight", "item_head_weight"),
        ("fusion", "item_head_share"),
        ("item_input", "item_vector_size"),
        ("code_dropout", "dropout"),
    ],
)
def test_a_former_key_names_what_it_has_become(old, new, tmp_path):
    expected = f"The property `{old}` has become `{new}`."
    assert message_of("STORE", "ml-100k", [], {old: "1"}) == expected
    file = tmp_path / "old.yaml"
    file.write_text(f"{old}: 1\n")
    expected = f"The property `{old}` in {file} has become `{new}`."
    assert message_of("STORE", "ml-100k", [file], {}) == expected
    assert message_of("SASRec", "ml-100k", [], {old: "1"}).startswith(f"Unknown property `{old}`")


def test_a_wrong_value_in_a_file_names_the_file(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("epochs: many\n")
    expected = f"`epochs` is 'many' in {file}, but must be an integer of at least 0."
    assert message_of("STORE", "ml-100k", [file], {}) == expected


def test_unknown_key_without_a_near_one():
    assert message_of("STORE", "ml-100k", [], {"zzz": "1"}) == "Unknown property `zzz`."


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("n_slots", "2.5"),
        ("n_slots", "two"),
        ("n_slots", "true"),
        ("n_slots", "null"),
        ("n_slots", "[2]"),
        ("backbone_layers", "all"),
        ("learning_rate", "fast"),
        ("learning_rate", "null"),
        ("lora_rank", "os.getpid()"),
        ("repeatable", "maybe"),
        ("repeatable", "1"),
        ("exact_time_order", "0"),
        ("item_text", "[movie_title]"),
        ("item_text", "movie_title"),
        ("topk", "ten"),
        ("topk", "true"),
        ("clip_grad_norm", "3"),
        ("eval_args", "full"),
        ("load_col", "inter"),
        ("seed", "1.5"),
        ("lora_target_modules", "q_proj"),
        ("seed", "99999999999"),
        ("user_inter_num_interval", "7"),
        ("user_inter_num_interval", "[20,inf"),
        ("item_inter_num_interval", "[9,1]"),
    ],
)
def test_wrong_types(key, text):
    message = message_of("STORE", "ml-100k", [], {key: text})
    assert message.startswith(f"`{key}` is ") and ", but must be " in message
    assert message.partition(" is ")[2].startswith((repr(text), f"{parse_value_or(text)!r},"))


def parse_value_or(text):
    try:
        return parse_value(text)
    except SettingsError:
        return text


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"num_beams": "19"}, ["`num_beams` is 19", "20"]),
        ({"topk": "[1,30]"}, ["`num_beams` is 20", "30"]),
        ({"topk": "[]"}, ["`topk` is []"]),
        ({"topk": "[0]"}, ["`topk` is [0]"]),
        ({"topk": "[2.5]"}, ["`topk` is [2.5]"]),
        ({"topk": "null"}, ["`topk` is None"]),
        ({"topk": "5"}, ["NDCG@10", "at 5"]),
        ({"valid_metric": "NDCG@7"}, ["NDCG@7", "1, 5, 10, 20"]),
        ({"valid_metric": "AUC"}, ["AUC", "Recall"]),
        ({"metrics": "[Recall]"}, ["NDCG@10", "Recall"]),
        ({"metrics": "Recall"}, ["NDCG@10", "Recall"]),
        ({"metrics": "[]"}, ["NDCG@10"]),
        ({"tuning": "some"}, ["`tuning` is 'some'", "lora, full, frozen"]),
        ({"precision": "fp16"}, ["`precision` is 'fp16'", "bf16"]),
        ({"tokenizer": "no-such"}, ["`tokenizer`", "palette"]),
        ({"n_slots": "0"}, ["`n_slots` is 0"]),
        ({"n_slots": "17"}, ["`n_slots` is 17", "16"]),
        ({"codebook_size": "1"}, ["`codebook_size` is 1", "2"]),
        ({"collaborative_start": "0"}, ["`collaborative_start` is 0", "null"]),
        (
            {"collaborative_start": "1", "item_vector_size": "null", "item_head_weight": "0"},
            ["`collaborative_start` is 1", "`item_vector_size` is null"],
        ),
        ({"item_dropout": "1"}, ["`item_dropout` is 1", "[0, 1)", "null"]),
        ({"last_item_weight": "-1"}, ["`last_item_weight` is -1", "null"]),
        ({"last_item_weight": "2", "item_head_weight": "0"}, ["`last_item_weight`", "item head"]),
        (
            {"last_item_weight": "2", "item_head_share": "0"},
            ["`last_item_weight`", "`item_head_share: 0`"],
        ),
        ({"text_task_share": "0"}, ["`text_task_share` is 0", "null"]),
        ({"text_task_share": "1.5"}, ["`text_task_share` is 1.5", "(0, 1]"]),
        ({"backbone_layers": "0"}, ["`backbone_layers` is 0", "null"]),
        ({"item_vector_size": "null"}, ["`item_head_weight` is 1.0", "`item_vector_size` is null"]),
        ({"text_head_weight": "1"}, ["`text_head_weight`", "`tokenizer: tower`"]),
        ({"likeness_weight": "1"}, ["`likeness_weight`", "`text_head_weight`"]),
        ({"together_weight": "1", "item_head_share": "0"}, ["`together_weight`", "above 0"]),
        ({"decoding": "exact"}, ["`decoding` is exact", "`item_head_share: 0`"]),
        ({"micro_batch_size": "2", "enable_scaler": "True"}, ["`enable_scaler`"]),
        ({"clip_grad_norm": "{norm: 1}"}, ["`clip_grad_norm`", "max_norm"]),
        ({"cold_items": "0.1", "eval_args": "{mode: uni100}"}, ["`cold_items`", "'uni100'"]),
        (
            {"validation_gap": "1", "repeatable": "False"},
            ["`validation_gap`", "`repeatable: True`"],
        ),
        ({"dropout": "1"}, ["`dropout` is 1", "[0, 1)"]),
        ({"collaborative_share": "-0.1"}, ["`collaborative_share` is -0.1"]),
        ({"learning_rate": "0"}, ["`learning_rate` is 0"]),
        ({"learning_rate": ".nan"}, ["`learning_rate` is nan"]),
        ({"align_weight": "-1"}, ["`align_weight` is -1"]),
        ({"MAX_ITEM_LIST_LENGTH": "0"}, ["`MAX_ITEM_LIST_LENGTH` is 0"]),
        ({"epochs": "-1"}, ["`epochs` is -1"]),
    ],
)
def test_values_out_of_range(typed, words):
    message = message_of("STORE", "ml-100k", [], typed)
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"num_heads": "0"}, ["`num_heads` is 0"]),
        ({"n_user_tokens": "-1"}, ["`n_user_tokens` is -1"]),
        ({"targets_per_user": "0"}, ["`targets_per_user` is 0", "null"]),
        ({"decay_after_steps": "0"}, ["`decay_after_steps` is 0", "null"]),
        ({"rqvae_hidden_sizes": "[64, x]"}, ["`rqvae_hidden_sizes`", "each an integer"]),
        ({"learner": "adafaktor"}, ["`learner`", "adafactor"]),
        ({"num_beams": "19"}, ["`num_beams` is 19", "20"]),
    ],
)
def test_values_of_tiger_out_of_range(typed, words):
    message = message_of("TIGER", "ml-100k", [], typed)
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("typed", "word"),
    [
        ({"metrics": "null"}, "metrics"),
        ({"metrics": "5"}, "metrics"),
        ({"metrics": "[NDCG, 5]"}, "metrics"),
        ({"metrics": "[NDCG, Recal]"}, "Recal"),
        ({"data_path": "null"}, "data_path"),
        ({"seed": "null"}, "seed"),
        ({"eval_args": "null"}, "eval_args"),
        ({"eval_args": "{ordr: RO}"}, "ordr"),
        ({"item_text": "{movie_title: 5}"}, "movie_title"),
        ({"item_text": "{movie_title: }"}, "movie_title"),
    ],
)
def test_values_that_would_fail_later_or_do_nothing(typed, word):
    assert word in message_of("STORE", "ml-100k", [], typed)


def test_null_where_it_means_something():
    resolved = resolve("STORE", "ml-100k", [], {"backbone_layers": "null", "item_text": "~"})
    assert resolved["backbone_layers"] is None and resolved["item_text"] is None


def test_other_models_values_are_not_checked_by_stores_rules():
    assert resolve("SASRec", "ml-100k", [], {"epochs": "0"})["epochs"] == 0
    assert "`n_heads` is 'two'" in message_of("SASRec", "ml-100k", [], {"n_heads": "two"})


def test_a_value_that_one_model_of_a_comparison_cannot_have():
    """The palette reads dense tokens, which STORE's LLM makes."""
    both, typed = ["STORE", "TIGER"], {"tokenizer": "palette"}
    assert resolve("STORE", "ml-100k", [], typed, both)["tokenizer"] == "palette"
    expected = "`tokenizer` is 'palette' for TIGER, but must be one of rqvae, rqkmeans, random."
    assert message_of("TIGER", "ml-100k", [], typed, both) == expected


# Wrong models and data sets


@pytest.mark.parametrize(
    ("name", "meant"), [("store", "STORE"), ("SASRecc", "SASRec"), ("sasrec", "SASRec")]
)
def test_unknown_model_names_the_nearest(name, meant):
    message = message_of(name, "ml-100k", [], {})
    assert message.startswith(f"Unknown model `{name}` (did you mean `{meant}`?); known: ")
    assert " STORE," in message and " Pop," in message


def test_every_model_of_the_comparison_is_checked():
    assert "`Popp`" in message_of("STORE", "ml-100k", [], {}, ["STORE", "Popp"])


def test_unknown_profile():
    with pytest.raises(SettingsError, match=r"Unknown profile `ful` \(did you mean `full`\?\)"):
        Profile.of_file("ful")


def test_unknown_variant_lists_those_there_are():
    message = message_of("SASRec", "ml-100k", [], {}, variant="tunde")
    assert message == (
        "Unknown variant `SASRec:tunde` (did you mean `tuned`?); there are tuned. A property file "
        "of your own is `SASRec:FILE.yaml`."
    )
    assert "STORE:nothing" in message_of("STORE", "ml-100k", [], {}, variant="nothing")
    assert "; Pop has none." in message_of("Pop", "ml-100k", [], {}, variant="x")


def test_variants_and_profiles_of_one_s_own(tmp_path, monkeypatch):
    """A property file, from whatever folder; its name is the variant's."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "STORE-wide.yaml").write_text("num_beams: 33\n")
    own = "own/STORE-wide.yaml"
    assert resolve("STORE", "ml-100k", [], {}, variant=own)["num_beams"] == 33
    assert resolve("STORE", "ml-100k", [], {}, profile=Profile.of_file(own))["num_beams"] == 33
    assert variant_name("STORE", own) == variant_name("STORE", "wide") == "wide"
    assert variant_name("TIGER", own) == "STORE-wide"
    assert "no.yaml" in message_of("STORE", "ml-100k", [], {}, variant="no.yaml")
    with pytest.raises(SettingsError, match=r"Unknown profile `own/no\.yaml`"):
        Profile.of_file("own/no.yaml")


def test_unknown_dataset_names_the_nearest(write_dataset):
    data_path = write_dataset("films", INTERACTIONS)
    message = message_of("Pop", "film", [], {"data_path": str(data_path)})
    assert "No dataset `film`" in message and "(did you mean `films`?)" in message
    assert "`ml-100k`" in message_of("Pop", "ml-100", [], {})
    nowhere = message_of("Pop", "films", [], {"data_path": "no/such/folder"})
    assert "no/such/folder" in nowhere and "ml-100k" in nowhere


def test_dataset_without_interactions(write_dataset):
    data_path = write_dataset("films", INTERACTIONS)
    typed = {"data_path": str(data_path)}
    resolve("Pop", "films", [], typed)
    inter = data_path / "films" / "films.inter"
    for content in ("", "\n", "user_id:token\titem_id:token\n", "user_id:token\n\n"):
        inter.write_text(content)
        message = message_of("Pop", "films", [], typed)
        assert "films.inter is empty" in message
    inter.unlink()
    assert "films.inter is missing" in message_of("Pop", "films", [], typed)


def test_benchmark_files_must_all_be_there(write_dataset):
    data_path = write_dataset("films", INTERACTIONS)
    inter = data_path / "films" / "films.inter"
    typed = {"data_path": str(data_path), "benchmark_filename": "[train, valid, test]"}
    inter.with_name("films.valid.inter").write_text(inter.read_text())
    inter.rename(inter.with_name("films.train.inter"))
    assert "films.test.inter is missing" in message_of("SASRec", "films", [], typed)
    inter.with_name("films.test.inter").write_text(inter.with_name("films.train.inter").read_text())
    found = resolve("SASRec", "films", [], typed)["benchmark_filename"]
    assert found == ["train", "valid", "test"]


def test_unknown_encoding(write_dataset):
    typed = {"data_path": str(write_dataset("films", INTERACTIONS)), "encoding": "klingon"}
    assert "klingon" in message_of("Pop", "films", [], typed)


@pytest.mark.parametrize("model", [*PLUGIN_MODELS, "SASRec", "BERT4Rec", "BPR"])
def test_what_was_resolved_can_be_resolved_again(model, tmp_path):
    """A run that goes on reads its settings from its folder, those that code has set too."""
    settings = resolve(model, "ml-100k", [], {})
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(settings))
    assert resolve(model, "ml-100k", [path], {}) == settings
