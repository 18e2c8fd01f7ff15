"""Settings by the data and the machine: what is chosen, that a run takes it, and says so."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from planted_store import store_settings, working_in
from recbole.config import Config

from recbole_store import cli
from recbole_store.errors import SettingsError
from recbole_store.experiments.trials import as_typed
from recbole_store.plugin.profiles.auto import profile_of
from recbole_store.plugin.profiles.facts import DataFacts, MachineFacts, data_facts
from recbole_store.plugin.profiles.rules import (
    ENOUGH_STEPS,
    ENOUGH_STEPS_2,
    MOST_EPOCHS,
    choose,
)
from recbole_store.settings.defaults import recbole_defaults, shipped_defaults
from recbole_store.settings.profile import Profile
from recbole_store.settings.property_files import (
    properties_folder,
    read_properties,
    variant_file,
)

ROOT = Path(__file__).resolve().parents[3]
TWO_CORES = MachineFacts(2, 24.0, None)
GPU = MachineFacts(16, 128.0, "some GPU", 80.0)
BEAUTY = DataFacts(22_363, 12_101, 198_502, 22_504, 20.0, 1.0, 1)
STEAM = DataFacts(10_369, 3_593, 126_824, 10_737, 26.0, 1.0, 1)
ML_100K = DataFacts(943, 1_682, 100_000, 2_500, 8.0, 1.0, 1)
SHOP = DataFacts(1_200, 800, 14_600, 1_200, 9.0, 1.0, 2)
KIOSK = DataFacts(24, 12, 150, 24, 5.0, 1.0, 1)
LONG_SHOP = DataFacts(350, 800, 14_600, 360, 9.0, 1.0, 2)
LONG_KIOSK = DataFacts(4, 12, 160, 4, 5.0, 1.0, 1)


def chosen(data: DataFacts, machine: MachineFacts = TWO_CORES) -> dict:
    found: dict = {}
    for choice in choose(data, machine):
        assert choice.why and choice.settings
        found |= choice.settings
    return found


def all_settings(data: DataFacts, machine: MachineFacts = TWO_CORES) -> dict:
    return {**shipped_defaults("STORE"), **chosen(data, machine)}


def test_what_was_measured_is_chosen_where_it_was_measured():
    """On Beauty what its best committed run has, on ml-100k the defaults."""
    assert chosen(BEAUTY) == read_properties(variant_file("STORE", "text"))
    assert chosen(ML_100K) == {}
    kept = ROOT / "results" / "Steam-100K" / "STORE-seed2020.json"
    assert chosen(STEAM) == json.loads(kept.read_text())["profile"]["settings"]


def test_the_facts_above_are_those_of_the_committed_runs():
    root = ROOT / "results"
    for facts, stem in (
        (BEAUTY, "Beauty/STORE-text-seed2020"),
        (STEAM, "Steam-100K/STORE-seed2020"),
        (ML_100K, "ml-100k/STORE-seed2020"),
    ):
        protocol = json.loads((root / f"{stem}.json").read_text())["protocol"]
        counted = (facts.n_users, facts.n_items, facts.n_interactions)
        assert counted == tuple(
            protocol[f"n_{what}"] for what in ("users", "items", "interactions")
        )


@pytest.mark.parametrize("data", [SHOP, KIOSK])
def test_where_texts_count_small_data_are_trained_no_longer(data):
    found = chosen(data)
    assert found["epochs"] == read_properties(variant_file("STORE", "text"))["epochs"]
    assert "tokenizer_epochs" not in found and found["train_batch_size"] == 32
    assert all_settings(data)["codebook_size"] is None, "by the number of items"


@pytest.mark.parametrize("data", [LONG_SHOP, LONG_KIOSK])
def test_small_data_with_long_histories_are_trained_long_enough(data):
    found = all_settings(data)

    def steps(rows: int, batch: str, epochs: str) -> int:
        return -(-rows // found[batch]) * found[epochs]

    of_1 = data.n_windows if found["tokenizer"] == "tower" else data.n_items
    is_most = MOST_EPOCHS in (found["epochs"], found["tokenizer_epochs"])
    assert steps(of_1, "tokenizer_batch_size", "tokenizer_epochs") >= ENOUGH_STEPS or is_most
    assert steps(data.n_windows, "train_batch_size", "epochs") >= ENOUGH_STEPS_2 or is_most
    assert found["codebook_size"] is None, "by the number of items"


def test_more_epochs_read_no_more_texts():
    found, measured = all_settings(LONG_KIOSK), shipped_defaults("STORE")
    assert found["epochs"] > measured["epochs"]
    passes = [s["epochs"] * (s["text_task_share"] or 1.0) for s in (found, measured)]
    assert passes[0] == pytest.approx(passes[1], rel=0.02)


def test_noise_ends_no_training():
    found = all_settings(KIOSK)
    assert found["epochs"] // found["eval_step"] <= found["stopping_step"] + 1
    assert "stopping_step" not in chosen(SHOP) and "stopping_step" not in chosen(ML_100K)


def test_no_stage_ends_in_its_warm_up():
    found = all_settings(LONG_KIOSK)
    steps = -(-LONG_KIOSK.n_windows // found["train_batch_size"]) * found["epochs"]
    assert steps == MOST_EPOCHS, "one batch an epoch"
    assert found["warmup_steps"] == MOST_EPOCHS // 5
    assert all_settings(KIOSK)["warmup_steps"] <= 2, "of one step an epoch"
    assert "warmup_steps" not in chosen(LONG_SHOP) and "warmup_steps" not in chosen(ML_100K)


def test_data_without_texts_have_identifiers_alone():
    data = DataFacts(22_363, 12_101, 198_502, 22_504, 0.0, 0.0, 12_101)
    found = chosen(data)
    assert "tokenizer" not in found and found["disambiguation_size"] >= 12_101


def test_the_machine_counts():
    assert chosen(BEAUTY, GPU) == chosen(BEAUTY), "the whole LLM was not measured"
    assert chosen(BEAUTY, MachineFacts(2, 4.0, None))["micro_batch_size"] < 128
    assert chosen(BEAUTY, MachineFacts(2, 128.0, "some GPU", 4.0))["micro_batch_size"] < 128


def test_facts_are_counted_from_the_files(planted):
    settings = {**recbole_defaults("STORE", "planted"), **shipped_defaults("STORE")}
    found = data_facts({**settings, "data_path": str(planted)}, "planted")
    rows = (Path(planted) / "planted" / "planted.inter").read_text().splitlines()[1:]
    users = {row.split("\t")[0] for row in rows}
    assert (found.n_users, found.n_interactions, found.n_items) == (len(users), len(rows), 60)
    assert (found.with_text, found.words, found.same_text) == (1.0, 4.0, 1)


def test_every_profile_has_good_keys_and_says_what_it_is():
    for path in (properties_folder() / "profile").glob("*.yaml"):
        profile = Profile.of_file(path.stem)
        assert profile.settings.keys() <= shipped_defaults("STORE").keys()
        assert len(profile.said) > 40


def test_a_run_says_its_profile_and_keeps_it(tiny_llm, planted, tmp_path, capsys):
    typed = store_settings(tiny_llm, planted, item_vector_size=16, item_head_weight=1.0, epochs=1)
    del typed["checkpoint_dir"], typed["tokenizer_epochs"]
    words = [f"--{key}={text}" for key, text in as_typed(typed).items()]
    with working_in(tmp_path):
        status = cli.main(
            ["--model=STORE", "--dataset=planted", "--profile=quick", "--run_dir=run", *words]
        )
    assert status == 0
    out = capsys.readouterr().out
    assert "--profile=quick: A first look" in out
    assert "set otherwise by variant, file or flag: backbone_layers" in out
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["settings"]["tokenizer_epochs"] == 3, "the profile's"
    assert result["profile"]["name"] == "quick"
    assert result["profile"]["set_otherwise"].keys() >= {"backbone_layers", "epochs"}
    users = [line for line in out.splitlines() if line.startswith("User ")]
    assert len(users) == 3 and all(" had " in line for line in users)
    assert out.count("what came next") == 3
    assert "recbole-store recommend run/model --items" in out
    assert result["variant"] == "quick" and "STORE:quick" in out, "not to be taken for STORE"
    with working_in(tmp_path):
        assert cli.main(["--resume=run"]) == 0
    assert "STORE:quick" in capsys.readouterr().out
    # As if it had been killed before its first state:
    (tmp_path / "run" / "result.json").unlink()
    with working_in(tmp_path):
        assert cli.main(["--resume=run", "--no_table"]) == 0
    anew = json.loads((tmp_path / "run" / "result.json").read_text())
    assert anew["profile"] == result["profile"] and anew["variant"] == "quick"


def test_an_unknown_profile_is_told_the_known(planted, capsys):
    words = ["--model=STORE", "--dataset=planted", f"--data_path={planted}", "--profile=quik"]
    assert cli.main(words) == 2
    assert "did you mean `quick`" in capsys.readouterr().err


@pytest.mark.auto_profile
def test_auto_is_chosen_for_the_data_that_are_named(planted):
    of_data = ("planted", [], {"data_path": str(planted)}, ["STORE"])
    profile = profile_of(None, ("STORE", ""), *of_data)
    assert "60 items" in profile.said and profile.choices
    lines = profile.told({**profile.settings, "epochs": 1})
    assert lines[0].startswith("--profile=auto: ") and "set otherwise" in lines[-1]
    assert profile_of("auto", ("STORE", "codes_alone"), *of_data) == profile
    for label in (("STORE", "codes_alone"), ("SASRecAll", "")):
        assert profile_of(None, label, *of_data) is None, "which say what they are"
    assert profile_of("none", ("STORE", ""), *of_data) is None


@pytest.mark.auto_profile
def test_what_a_person_sets_may_not_go_with_the_choice(planted):
    """It counts, and STORE keeps its defaults, rather than refuse a word that it was given."""
    typed = {"data_path": str(planted), "item_vector_size": "null", "item_head_weight": "0"}
    profile = profile_of(None, ("STORE", ""), "planted", [], typed, ["STORE"])
    assert profile.settings == {} and "item_vector_size" in profile.said
    with pytest.raises(SettingsError, match="colour"):
        wrong = {"data_path": str(planted), "item_text": "{colour: 5}"}
        profile_of(None, ("STORE", ""), "planted", [], wrong, ["STORE"])


@pytest.mark.auto_profile
def test_recbole_alone_has_it_too(planted, tmp_path, caplog):
    """``run_recbole("STORE", ...)`` builds its Config from what is given, and asks nobody else."""
    given = {"data_path": str(planted), "eval_step": 5}
    config = Config("STORE", "planted", config_dict=given)
    chosen = profile_of(
        None, ("STORE", ""), "planted", [], {"data_path": str(planted)}, ["STORE"]
    ).settings
    assert chosen["text_head_weight"] == config["text_head_weight"] == 1.0
    assert config["epochs"] == chosen["epochs"] and config["eval_step"] == 5
    plain = Config("STORE", "planted", config_dict={**given, "profile": "none"})
    assert plain["text_head_weight"] == 0.0
    with pytest.raises(SettingsError, match="did you mean `quick`"):
        Config("STORE", "planted", config_dict={**given, "profile": "quik"})
    with caplog.at_level(logging.WARNING):
        other = Config("STORE", "elsewhere", config_dict={**given, "data_path": str(tmp_path)})
    assert other["text_head_weight"] == 0.0 and "No dataset `elsewhere`" in caplog.text
