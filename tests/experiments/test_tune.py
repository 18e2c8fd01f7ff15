"""Settings are searched, each judged on validation, none tried twice."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest
from planted_store import store_settings

from recbole_store.errors import RunError
from recbole_store.experiments import trials, tune
from recbole_store.experiments.processes import PROGRAM, environment
from recbole_store.experiments.run import run_folder
from recbole_store.experiments.run.run import run_model
from recbole_store.experiments.space import read_space
from recbole_store.settings.keys import declared_keys
from recbole_store.settings.property_files import properties_folder
from recbole_store.settings.resolve import resolve


@pytest.fixture
def listed(tmp_path, monkeypatch):
    """Two trials of SASRecAll in property files of the test's own."""
    folder = tmp_path / "properties" / "trials"
    folder.mkdir(parents=True)
    (folder / "SASRecAll.yaml").write_text("- {hidden_size: 8}\n- {hidden_size: 16, n_heads: 1}\n")
    monkeypatch.setattr(tune, "properties_folder", lambda: tmp_path / "properties")


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
    assert tune.main(words) == 0
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

    def run_trial(model, dataset, settings, passed_on, *_):
        ran.append(settings)
        if len(ran) == 1:
            raise RunError("exit status 1")
        return outcome(model, dataset, settings, passed_on)

    monkeypatch.setattr(trials, "run_trial", run_trial)
    model = ["--model=SASRecAll", "--dataset=planted", f"--results={tmp_path}"]
    words = [*model, f"--data_path={planted}"]
    assert tune.main(words) == 1
    assert len(kept(tmp_path)) == 1  # what had finished
    assert tune.main(words) == 0
    assert [trial["hidden_size"] for trial in ran] == [8, 16, 8]
    assert tune.main([*words, "--epochs=1"]) == 0
    assert len(ran) == 5  # under other conditions they are other trials
    shutil.copytree(planted, tmp_path / "elsewhere")
    words = [*model, "--epochs=1", f"--data_path={tmp_path / 'elsewhere'}"]
    assert tune.main(words) == 0
    assert len(ran) == 5
    with (tmp_path / "elsewhere" / "planted" / "planted.inter").open("a") as file:
        file.write("u0\ti1\t9e9\n")
    assert tune.main(words) == 0
    assert len(ran) == 7 and len(kept(tmp_path)) == 4  # other data: run again, in their places


def test_a_list_of_one_s_own(planted, tmp_path, monkeypatch):
    """And a variant of one's own under it."""
    ran = []

    def run_trial(model, dataset, settings, passed_on, *_):
        ran.append((model, settings))
        return outcome(model, dataset, settings, passed_on)

    monkeypatch.setattr(trials, "run_trial", run_trial)
    (tmp_path / "list.yaml").write_text("- {hidden_size: 4}\n")
    (tmp_path / "wide.yaml").write_text("n_layers: 1\n")
    label = "SASRecAll:wide.yaml"
    words = [f"--model={label}", "--dataset=planted", f"--data_path={planted}"]
    assert tune.main([*words, "--list=list.yaml"]) == 0
    assert ran == [(label, {"hidden_size": 4})]
    assert (tmp_path / "results" / "trials" / "planted" / "SASRecAll-wide.json").is_file()


def test_trials_of_a_model_with_other_settings_are_run_again(
    listed, planted, tmp_path, monkeypatch
):
    ran = []

    def run_trial(model, dataset, settings, passed_on, *_):
        ran.append(settings)
        return outcome(model, dataset, settings, passed_on, len(ran) / 10)

    monkeypatch.setattr(trials, "run_trial", run_trial)
    words = ["--model=SASRecAll", "--dataset=planted", f"--results={tmp_path}"]
    words.append(f"--data_path={planted}")
    assert tune.main(words) == 0 and len(ran) == 2
    own = trials.hash_of
    monkeypatch.setattr(trials, "hash_of", lambda *args: f"{own(*args)}, and more")
    assert tune.main(words) == 0 and len(ran) == 4
    assert [trial["valid"]["mrr@5"] for trial in kept(tmp_path)] == [0.3, 0.4]
    before = [{k: v for k, v in t.items() if k != "protocol_hash"} for t in kept(tmp_path)]
    (tmp_path / "trials" / "planted" / "SASRecAll.json").write_text(json.dumps(before))
    assert tune.main(words) == 0 and len(ran) == 6, "nobody knows what trials without a hash were"


def test_trials_under_other_conditions_do_not_count(listed, planted, tmp_path, monkeypatch, capsys):
    def run_trial(model, dataset, settings, passed_on, *_):
        if "--epochs=1" not in passed_on:
            raise RunError("exit status 1")
        return outcome(model, dataset, settings, passed_on)

    monkeypatch.setattr(trials, "run_trial", run_trial)
    words = ["--model=SASRecAll", "--dataset=planted", f"--results={tmp_path}"]
    words.append(f"--data_path={planted}")
    assert tune.main([*words, "--epochs=1"]) == 0
    capsys.readouterr()
    assert tune.main(words) == 1
    assert "0.1000" not in capsys.readouterr().out


@pytest.mark.parametrize("content", ["[{", "3", '["a"]', '[{"settings": {}}]'])
def test_broken_trials_are_refused(listed, tmp_path, capsys, content):
    path = tmp_path / "trials" / "planted" / "SASRecAll.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    assert tune.main(["--model=SASRecAll", "--dataset=planted", f"--results={tmp_path}"]) == 2
    assert str(path) in capsys.readouterr().err


def test_a_model_without_trials_is_refused(listed, capsys):
    assert tune.main(["--model=Pop"]) == 2
    assert "Pop.yaml" in capsys.readouterr().err


def test_a_variant_has_files_of_its_own():
    assert trials.stem_of("TIGER:small") == "TIGER-small" and trials.stem_of("Pop") == "Pop"


def test_some_of_the_list_are_chosen_by_number(listed, capsys):
    assert trials.chosen(["a", "b", "c"], "3,1") == {3: "c", 1: "a"}
    assert trials.chosen(["a", "b"], None) == {1: "a", 2: "b"}
    assert tune.main(["--model=SASRecAll", "--only=1,3"]) == 2
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
    assert tune.main(["--model=Pop,STORE"]) == 2
    assert capsys.readouterr().err == "error: --model=Pop,STORE: trials are of one model.\n"


def test_the_order_of_conditions_does_not_matter_and_all_are_key_and_value(listed, capsys):
    one, other = ["--epochs=1", "--data_path=d", "--seed=3"], ["--seed=3", "--epochs=1"]
    assert trials.conditions(one) == trials.conditions(other) == ["--epochs=1", "--seed=3"]
    assert tune.main(["--model=SASRecAll", "--data_path", "/mine"]) == 2
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
    monkeypatch.setattr(tune, "properties_folder", lambda: tmp_path / "properties")
    monkeypatch.setattr(trials, "run_trial", None)  # nothing is trained
    command = ["--model=STORE", "--dataset=planted", f"--results={tmp_path}"]
    command.append("--validation_gap=null")
    assert tune.main([*command, f"--trained={run_dir}", *words]) == 0
    same, codes, last = json.loads((tmp_path / "trials" / "planted" / "STORE.json").read_text())
    assert same["valid"] == result["valid"], "the run's own settings"
    assert codes["valid"] != result["valid"] and last["valid"] != result["valid"]
    for trial in (same, codes, last):
        assert trial["ranked_again"] and trial["scores"] == [trial["valid"]["ndcg@10"]]
        assert (trial["epochs"], trial["best_epoch"]) == (1, 0)


def test_another_run_s_checkpoint_is_refused(trained, tmp_path, capsys):
    run_dir, words, _ = trained
    command = ["--model=STORE", "--dataset=planted", f"--results={tmp_path}"]
    command.append("--validation_gap=null")
    assert tune.main([*command, f"--trained={run_dir}", *words, "--epochs=7"]) == 2
    assert "had other settings" in capsys.readouterr().err
    (tmp_path / "result.json").write_text("{}")
    assert tune.main([*command, f"--trained={tmp_path}", *words]) == 2
    assert "no result of a run" in capsys.readouterr().err
    shutil.copytree(run_dir, tmp_path / "damaged")
    weights = tmp_path / "damaged" / "best.safetensors"
    weights.write_bytes(weights.read_bytes()[:-9])
    assert tune.main([*command, f"--trained={tmp_path / 'damaged'}", *words]) == 1
    assert "best.safetensors is damaged" in capsys.readouterr().err
    weights.unlink()
    assert tune.main([*command, f"--trained={tmp_path / 'damaged'}", *words]) == 2
    assert "best.safetensors is missing" in capsys.readouterr().err


def test_a_trained_model_is_no_use_to_other_trials(listed, planted, tmp_path, capsys):
    words = ["--model=SASRecAll", "--dataset=planted", f"--results={tmp_path}", "--only=2"]
    assert tune.main([*words, f"--data_path={planted}", f"--trained={tmp_path}"]) == 2
    assert "none of these trials changes the ranking alone" in capsys.readouterr().err


WIDE = range(90, 104, 2)
SPACE = "hidden_size: [8, 16, 32]\nlearning_rate: {low: 1.0e-4, high: 1.0e-2, log: true}\n"


@pytest.fixture
def searched(planted, tmp_path, monkeypatch):
    """``searched(*words)`` -> exit status, and the settings that were tried, in ``.ran``.

    A setting is the better the wider the network; nothing is trained.
    """
    (tmp_path / "space.yaml").write_text(SPACE)

    def run_trial(model, dataset, settings, passed_on, run_dir, is_hopeless):
        search.ran.append(settings)
        search.passed_on = passed_on
        value = settings.get("hidden_size", 1) / 100
        if any(is_hopeless({epoch: value}) for epoch in range(4)):
            return None
        return outcome(model, dataset, settings, passed_on, value)

    def search(*words) -> int:
        own = ["--model=SASRecAll", "--dataset=planted", f"--results={tmp_path}"]
        own += [f"--data_path={planted}", f"--space={tmp_path / 'space.yaml'}"]
        return tune.main([*own, *words])

    search.ran, search.passed_on = [], []
    monkeypatch.setattr(trials, "run_trial", run_trial)
    return search


def test_a_space_is_searched_behind_the_list(listed, searched, tmp_path):
    assert searched("--trials=4") == 0
    assert searched.ran[:2] == [{"hidden_size": 8}, {"hidden_size": 16, "n_heads": 1}]
    proposed = searched.ran[2:]
    assert len(proposed) == 4
    for settings in proposed:
        assert settings["hidden_size"] in (8, 16, 32) and 1e-4 <= settings["learning_rate"] <= 1e-2
    assert len({settings["learning_rate"] for settings in proposed}) == 4
    assert all("--validation_gap=1" in trial["conditions"] for trial in kept(tmp_path))
    assert searched("--trials=2") == 0  # goes on where it was
    assert len(searched.ran) == 8 and searched.ran[6:] != searched.ran[2:4]


def test_without_a_list_the_search_begins_at_once(searched, tmp_path, monkeypatch):
    monkeypatch.setattr(tune, "properties_folder", lambda: tmp_path / "none")
    assert searched("--trials=3") == 0
    assert len(searched.ran) == 3


def test_what_stays_below_the_median_is_ended_early(searched, tmp_path, monkeypatch):
    (tmp_path / "list.yaml").write_text("".join(f"- {{hidden_size: {n}}}\n" for n in WIDE))
    assert searched(f"--list={tmp_path / 'list.yaml'}") == 0
    assert len(kept(tmp_path)) == 7
    (tmp_path / "list.yaml").write_text("- {hidden_size: 2}\n- {hidden_size: 104}\n")
    assert searched(f"--list={tmp_path / 'list.yaml'}") == 0
    assert [trial["settings"]["hidden_size"] for trial in kept(tmp_path)] == [*WIDE, 104]


def test_kept_trials_are_what_a_new_search_begins_with(listed, searched, tmp_path):
    assert searched() == 0
    for path in (tmp_path / "trials" / "planted").glob(".*journal"):
        path.unlink()
    before = len(searched.ran)
    assert searched() == 0 and len(searched.ran) == before
    study = search_of(searched, tmp_path).study
    assert [trial.value for trial in study.trials] == [0.08, 0.16]


def search_of(searched, tmp_path):
    return tune.Search("SASRecAll", "planted", searched.passed_on, tmp_path, {})


def test_what_died_with_its_process_is_tried_again(listed, searched, tmp_path):
    assert searched("--only=1") == 0
    other = search_of(searched, tmp_path)
    other.enqueue({"hidden_size": 4})
    dead = other.study.ask()  # and nobody tells of it any more
    assert dead.user_attrs["settings"] == {"hidden_size": 4}
    assert searched("--only=1") == 0
    assert searched.ran[1:] == [{"hidden_size": 4}]


@pytest.mark.parametrize("has_begun", [False, True])
def test_what_another_process_tries_is_left_to_it(has_begun, listed, searched, tmp_path):
    """Also before the trial's own process has made its folder."""
    assert searched("--only=1") == 0
    other, settings = search_of(searched, tmp_path), {"hidden_size": 4}
    other.enqueue(settings)
    other.study.ask()
    with run_folder.opened(other.run_dir(settings)) if has_begun else other.claimed(settings):
        assert searched("--only=1") == 0
    assert len(searched.ran) == 1


def test_what_two_have_put_before_the_rest_is_tried_once(listed, searched, tmp_path):
    assert searched("--only=1") == 0
    (tried,) = searched.ran
    other = search_of(searched, tmp_path)
    other.enqueue(tried)  # by a process that looked at the list as early as the first
    other.enqueue({"hidden_size": 4})
    with other.claimed({"hidden_size": 4}):
        assert searched("--only=1") == 0
    assert searched.ran == [tried]


@pytest.mark.slow
def test_two_processes_share_a_search(planted, tmp_path):
    """Started at once, for a list of two, of which each is tried by one of them."""
    sizes = (4, 8)
    (tmp_path / "list.yaml").write_text("".join(f"- {{hidden_size: {n}}}\n" for n in sizes))
    words = ["tune", "--model=SASRecAll", "--dataset=planted", f"--data_path={planted}"]
    words += ["--list=list.yaml", "--epochs=1", "--inner_size=8", "--n_layers=1", "--n_heads=1"]
    words += ["--load_col={inter: [user_id, item_id, timestamp]}", "--gpu_id=''"]
    # Which ends with its parent, had one started it for a run.
    child = {key: value for key, value in environment().items() if key != "RECBOLE_STORE_PARENT"}
    searches = [
        subprocess.Popen(
            [*PROGRAM, *words], cwd=tmp_path, env=child, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    said = [search.communicate()[0] for search in searches]
    assert [search.returncode for search in searches] == [0, 0], said
    began = [line for out in said for line in out.splitlines() if line.startswith("===")]
    assert sorted(int(line.split("hidden_size': ")[1].split("}")[0]) for line in began) == [*sizes]
    assert all("===" in out for out in said)
    kept = json.loads((tmp_path / "results/trials/planted/SASRecAll.json").read_text())
    assert sorted(trial["settings"]["hidden_size"] for trial in kept) == [*sizes]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "names no key"),
        ("dropout: 3", "`dropout` is 3"),
        ("dropout: {low: 1}", "`dropout` is {'low': 1}"),
        ("dropout: {low: 2, high: 1}", "`dropout` is no space"),
        ("topk: [[1, 2]]", "`topk` is [[1, 2]]"),
        ("hiden_size: [8]", "no key `hiden_size` (did you mean `hidden_size`?)"),
    ],
)
def test_a_space_that_is_none(listed, searched, tmp_path, capsys, content, said):
    (tmp_path / "space.yaml").write_text(content)
    assert searched("--trials=1") == 2
    assert said in capsys.readouterr().err and not searched.ran


def test_proposals_that_do_not_go_together_are_left_out(listed, searched, tmp_path, capsys):
    (tmp_path / "space.yaml").write_text("hidden_size: [8]\nn_heads: [3]\n")
    assert searched("--trials=2", "--only=1") == 0
    assert searched.ran == [{"hidden_size": 8}]
    assert "which `n_heads` 3 does not divide" in capsys.readouterr().out


def test_without_optuna_a_sentence(listed, searched, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert searched() == 2
    assert "pip install optuna" in capsys.readouterr().err


def test_the_shipped_spaces_are_such():
    paths = sorted((properties_folder() / "space").glob("*.yaml"))
    assert [path.stem for path in paths] == ["SASRecAll", "STORE"]
    for path in paths:
        assert read_space(path).keys() <= declared_keys([path.stem]).keys()
