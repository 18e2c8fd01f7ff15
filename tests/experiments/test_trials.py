"""Hyper-parameter trials: each judged on validation, none run twice."""

from __future__ import annotations

import json
import shutil

import pytest
from planted_store import store_settings

from recbole_store.errors import RunError
from recbole_store.experiments import trials
from recbole_store.experiments.run.run import run_model
from recbole_store.settings.resolve import resolve


@pytest.fixture
def listed(tmp_path, monkeypatch):
    """Two trials of SASRecAll in property files of the test's own."""
    folder = tmp_path / "properties" / "trials"
    folder.mkdir(parents=True)
    (folder / "SASRecAll.yaml").write_text("- {hidden_size: 8}\n- {hidden_size: 16, n_heads: 1}\n")
    monkeypatch.setattr(trials, "properties_folder", lambda: tmp_path / "properties")


def kept(folder) -> list[dict]:
    return json.loads((folder / "trials" / "planted" / "SASRecAll.json").read_text())


def outcome(model, dataset, settings, passed_on, value=0.1) -> dict:
    return {
        "settings": settings,
        "conditions": trials.conditions(passed_on),
        "protocol_hash": trials.hash_of(model, dataset, settings, passed_on),
        **{"best_epoch": 0, "epochs": 1, "valid": {"mrr@5": value}, "valid_metric": "mrr@5"},
    }


def test_a_trial_keeps_validation_alone(listed, planted, tmp_path, capfd):
    words = ["--model=SASRecAll", "--dataset=planted", f"--results={tmp_path}", "--epochs=2"]
    words += [f"--data_path={planted}", "--MAX_ITEM_LIST_LENGTH=6"]
    assert trials.main(words) == 0
    first, second = kept(tmp_path)
    assert first["settings"] == {"hidden_size": 8}
    assert second["settings"] == {"hidden_size": 16, "n_heads": 1}
    assert first["epochs"] == 2 and first["best_epoch"] in (0, 1) and first["fit_s"] > 0
    assert len(first["scores"]) == 2 and first["valid"]["ndcg@10"] == max(first["scores"])
    assert 0 < first["valid"]["ndcg@10"] < 1 and "test" not in first
    best = max((first, second), key=lambda trial: trial["valid"]["ndcg@10"])
    last_lines = capfd.readouterr().out.splitlines()[-2:]
    assert last_lines[0] == f"{best['valid']['ndcg@10']:.4f}    2 epochs  {best['settings']}"


def test_what_is_kept_is_not_run_again(listed, planted, tmp_path, monkeypatch):
    ran = []

    def run_trial(model, dataset, settings, passed_on):
        ran.append(settings)
        if len(ran) == 1:
            raise RunError("exit status 1")
        return outcome(model, dataset, settings, passed_on)

    monkeypatch.setattr(trials, "run_trial", run_trial)
    model = ["--model=SASRecAll", "--dataset=planted", f"--results={tmp_path}"]
    words = [*model, f"--data_path={planted}"]
    assert trials.main(words) == 1
    assert len(kept(tmp_path)) == 1  # what had finished
    assert trials.main(words) == 0
    assert [trial["hidden_size"] for trial in ran] == [8, 16, 8]
    assert trials.main([*words, "--epochs=1"]) == 0
    assert len(ran) == 5  # under other conditions they are other trials
    shutil.copytree(planted, tmp_path / "elsewhere")
    words = [*model, "--epochs=1", f"--data_path={tmp_path / 'elsewhere'}"]
    assert trials.main(words) == 0
    assert len(ran) == 5
    with (tmp_path / "elsewhere" / "planted" / "planted.inter").open("a") as file:
        file.write("u0\ti1\t9e9\n")
    assert trials.main(words) == 0
    assert len(ran) == 7 and len(kept(tmp_path)) == 4  # other data: run again, in their places


def test_a_list_of_one_s_own(planted, tmp_path, monkeypatch):
    """And a variant of one's own under it."""
    ran = []

    def run_trial(model, dataset, settings, passed_on):
        ran.append((model, settings))
        return outcome(model, dataset, settings, passed_on)

    monkeypatch.setattr(trials, "run_trial", run_trial)
    (tmp_path / "list.yaml").write_text("- {hidden_size: 4}\n")
    (tmp_path / "wide.yaml").write_text("n_layers: 1\n")
    label = "SASRecAll:wide.yaml"
    words = [f"--model={label}", "--dataset=planted", f"--data_path={planted}"]
    assert trials.main([*words, "--list=list.yaml"]) == 0
    assert ran == [(label, {"hidden_size": 4})]
    assert (tmp_path / "results" / "trials" / "planted" / "SASRecAll-wide.json").is_file()


def test_trials_of_a_model_with_other_settings_are_run_again(
    listed, planted, tmp_path, monkeypatch
):
    ran = []

    def run_trial(model, dataset, settings, passed_on):
        ran.append(settings)
        return outcome(model, dataset, settings, passed_on, len(ran) / 10)

    monkeypatch.setattr(trials, "run_trial", run_trial)
    words = ["--model=SASRecAll", "--dataset=planted", f"--results={tmp_path}"]
    words.append(f"--data_path={planted}")
    assert trials.main(words) == 0 and len(ran) == 2
    own = trials.hash_of
    monkeypatch.setattr(trials, "hash_of", lambda *args: f"{own(*args)}, and more")
    assert trials.main(words) == 0 and len(ran) == 4
    assert [trial["valid"]["mrr@5"] for trial in kept(tmp_path)] == [0.3, 0.4]
    before = [{k: v for k, v in t.items() if k != "protocol_hash"} for t in kept(tmp_path)]
    (tmp_path / "trials" / "planted" / "SASRecAll.json").write_text(json.dumps(before))
    assert trials.main(words) == 0 and len(ran) == 6, "nobody knows what trials without a hash were"


def test_trials_under_other_conditions_do_not_count(listed, planted, tmp_path, monkeypatch, capsys):
    def run_trial(model, dataset, settings, passed_on):
        if "--epochs=1" not in passed_on:
            raise RunError("exit status 1")
        return outcome(model, dataset, settings, passed_on)

    monkeypatch.setattr(trials, "run_trial", run_trial)
    words = ["--model=SASRecAll", "--dataset=planted", f"--results={tmp_path}"]
    words.append(f"--data_path={planted}")
    assert trials.main([*words, "--epochs=1"]) == 0
    capsys.readouterr()
    assert trials.main(words) == 1
    assert "0.1000" not in capsys.readouterr().out


@pytest.mark.parametrize("content", ["[{", "3", '["a"]', '[{"settings": {}}]'])
def test_broken_trials_are_refused(listed, tmp_path, capsys, content):
    path = tmp_path / "trials" / "planted" / "SASRecAll.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    assert trials.main(["--model=SASRecAll", "--dataset=planted", f"--results={tmp_path}"]) == 2
    assert str(path) in capsys.readouterr().err


def test_a_model_without_trials_is_refused(listed, capsys):
    assert trials.main(["--model=Pop"]) == 2
    assert "Pop.yaml" in capsys.readouterr().err


def test_a_variant_has_files_of_its_own():
    assert trials.stem_of("TIGER:small") == "TIGER-small" and trials.stem_of("Pop") == "Pop"


def test_some_of_the_list_are_chosen_by_number(listed, capsys):
    assert trials.chosen(["a", "b", "c"], "3,1") == {3: "c", 1: "a"}
    assert trials.chosen(["a", "b"], None) == {1: "a", 2: "b"}
    assert trials.main(["--model=SASRecAll", "--only=1,3"]) == 2
    assert capsys.readouterr().err == "error: --only=1,3: `3` is none of 1 to 2.\n"


def test_profiles_and_property_files_hold_for_trials_as_well(planted, tmp_path):
    file = tmp_path / "more.yaml"
    file.write_text("epochs: 7\nhidden_size: 8\n")
    words = [f"--data_path={planted}", "--seed=3"]
    found = trials.resolved(
        "SASRecAll", "planted", {"hidden_size": 16}, [*words, f"--config_files={file}"]
    )
    assert (found["epochs"], found["hidden_size"], found["seed"]) == (7, 16, 3)
    full = trials.resolved("STORE", "planted", {}, [*words, "--profile=full"])
    assert full["backbone_layers"] is None
    which = ("SASRecAll", "planted", {"hidden_size": 8, "epochs": 7})
    assert trials.hash_of(*which, words) == trials.hash_of(
        "SASRecAll", "planted", {}, [*words, f"--config_files={file}"]
    )


def test_texts_and_lists_reach_a_run_as_they_are(planted):
    said = {"backbone": "The user's items: [1, 2", "text_encoder": "'quoted'"}
    long = {"topk": list(range(1, 60))}
    found = trials.resolved(
        "STORE", "planted", {**said, **long, "num_beams": 60}, [f"--data_path={planted}"]
    )
    assert {key: found[key] for key in (*said, *long)} == {**said, **long}


def test_what_a_trial_sets_wins(planted):
    assert trials.told({"epochs": 8}, ["--epochs=3", "--seed=4"]) == {"epochs": "8", "seed": "4"}


def test_two_models_are_refused(listed, capsys):
    assert trials.main(["--model=Pop,STORE"]) == 2
    assert capsys.readouterr().err == "error: --model=Pop,STORE: trials are of one model.\n"


def test_the_order_of_conditions_does_not_matter_and_all_are_key_and_value(listed, capsys):
    one, other = ["--epochs=1", "--data_path=d", "--seed=3"], ["--seed=3", "--epochs=1"]
    assert trials.conditions(one) == trials.conditions(other) == ["--epochs=1", "--seed=3"]
    assert trials.main(["--model=SASRecAll", "--data_path", "/mine"]) == 2
    assert "`--data_path`" in capsys.readouterr().err


@pytest.fixture
def trained(tiny_llm, planted, tmp_path, monkeypatch):
    """A run of STORE on the planted data, and what it was told."""
    monkeypatch.chdir(tmp_path)
    typed = store_settings(
        tiny_llm, planted, item_vector_size=16, item_head_weight=1.0, num_beams=20
    )
    del typed["checkpoint_dir"]
    words = [f"--{key}={text}" for key, text in trials.as_typed(typed).items()]
    settings = resolve("STORE", "planted", [], trials.as_typed(typed))
    result = run_model("STORE", "planted", settings, tmp_path / "run")
    return tmp_path / "run", words, result


def test_rankings_are_judged_on_one_trained_model(trained, tmp_path, monkeypatch):
    run_dir, words, result = trained
    folder = tmp_path / "properties" / "trials"
    folder.mkdir(parents=True)
    listed = [
        "{item_head_share: 0.75}",
        "{item_head_share: 0.0}",
        "{epochs: 2}",
        "{last_item_weight: 3.0}",
    ]
    (folder / "STORE.yaml").write_text("".join(f"- {entry}\n" for entry in listed))
    monkeypatch.setattr(trials, "properties_folder", lambda: tmp_path / "properties")
    monkeypatch.setattr(trials, "run_trial", None)  # nothing is trained
    command = ["--model=STORE", "--dataset=planted", f"--results={tmp_path}"]
    assert trials.main([*command, f"--trained={run_dir}", *words]) == 0
    same, codes, last = json.loads((tmp_path / "trials" / "planted" / "STORE.json").read_text())
    assert same["valid"] == result["valid"], "the run's own settings"
    assert codes["valid"] != result["valid"] and last["valid"] != result["valid"]
    for trial in (same, codes, last):
        assert trial["ranked_again"] and trial["scores"] == [trial["valid"]["ndcg@10"]]
        assert (trial["epochs"], trial["best_epoch"]) == (1, 0)


def test_another_run_s_checkpoint_is_refused(trained, tmp_path, capsys):
    run_dir, words, _ = trained
    command = ["--model=STORE", "--dataset=planted", f"--results={tmp_path}"]
    assert trials.main([*command, f"--trained={run_dir}", *words, "--epochs=7"]) == 2
    assert "had other settings" in capsys.readouterr().err
    (tmp_path / "result.json").write_text("{}")
    assert trials.main([*command, f"--trained={tmp_path}", *words]) == 2
    assert "no result of a run" in capsys.readouterr().err
    shutil.copytree(run_dir, tmp_path / "damaged")
    weights = tmp_path / "damaged" / "best.safetensors"
    weights.write_bytes(weights.read_bytes()[:-9])
    assert trials.main([*command, f"--trained={tmp_path / 'damaged'}", *words]) == 1
    assert "best.safetensors is damaged" in capsys.readouterr().err
    weights.unlink()
    assert trials.main([*command, f"--trained={tmp_path / 'damaged'}", *words]) == 2
    assert "best.safetensors is missing" in capsys.readouterr().err


def test_a_trained_model_is_no_use_to_other_trials(listed, planted, tmp_path, capsys):
    words = ["--model=SASRecAll", "--dataset=planted", f"--results={tmp_path}", "--only=2"]
    assert trials.main([*words, f"--data_path={planted}", f"--trained={tmp_path}"]) == 2
    assert "none of these trials changes the ranking alone" in capsys.readouterr().err
