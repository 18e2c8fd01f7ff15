"""The command line, from --help to result files; most runs happen inside this process."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import run_recbole_store
from recbole_store.cli import typed_properties
from recbole_store.experiments.comparison import runner
from recbole_store.experiments.run import run

SCRIPT = Path(__file__).resolve().parent.parent / "run_recbole_store.py"
N_USERS, N_ITEMS = 300, 60  # of the planted data


@pytest.fixture(autouse=True)
def one_thread():
    """Threads that wait for each other on busy cores make the tiny runs ten times slower."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def command(tiny_settings, tmp_path):
    """Arguments of a quick run on the planted data, and whatever a test adds."""
    file = tmp_path / "tiny.yaml"
    shared = {"data_path", "load_col", "epochs", "topk", "show_progress", "gpu_id"}

    def arguments(*more, model="STORE", dataset="planted", **settings) -> list[str]:
        ours = "STORE" in model
        fitting = {key: tiny_settings[key] for key in tiny_settings if ours or key in shared}
        file.write_text(yaml.safe_dump({**fitting, **settings}))
        return [f"--model={model}", f"--dataset={dataset}", f"--config_files={file}", *more]

    return arguments


def exit_status(arguments) -> int:
    try:
        return run_recbole_store.main(arguments)
    except SystemExit as stopped:
        return stopped.code


def error_of(arguments, capsys) -> str:
    """The one line that a refused command line leaves on stderr."""
    capsys.readouterr()
    status = exit_status(arguments)
    stderr = capsys.readouterr().err
    assert status == 2, stderr
    assert stderr.startswith("error: "), stderr
    assert stderr.count("\n") == 1 and stderr.endswith("\n"), stderr
    assert not list(Path("saved").rglob("result.json")), "a refused run leaves no result"
    return stderr.removeprefix("error: ").strip()


def table_of(stdout: str) -> tuple[list[str], dict[str, list[str]]]:
    """Labels in the order of the printed table, and label -> its cells."""
    lines = stdout.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("model  ")) + 2
    rows = {}
    for line in lines[first:]:
        if "  " not in line:
            break
        label, *cells = re.split("  +", line)
        rows[label.removesuffix(" †")] = cells  # which was still rising
    return list(rows), rows


# Before anything heavy is imported


@pytest.mark.parametrize("words", [["train", "--help"], ["--model=STORE", "--help"]])
def test_help_needs_no_heavy_import(words):
    code = f"""
import runpy, sys
sys.argv = ["run_recbole_store.py", *{words!r}]
try:
    runpy.run_path({str(SCRIPT)!r}, run_name="__main__")
except SystemExit as stopped:
    heavy = {{"torch", "recbole", "pandas", "transformers", "numpy"}} & set(sys.modules)
    print("exit", stopped.code, sorted(heavy))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    *shown, last = done.stdout.splitlines()
    assert last == "exit 0 []"
    assert shown[0].startswith("usage: run_recbole_store.py")
    options = ("--model", "--dataset", "--config_files", "--profile", "--beside", "--results")
    options += ("--seeds",) if words[0] != "train" else ()
    options += ("--resume", "--again", "--replace", "--run_dir")
    assert all(option in done.stdout for option in options)
    assert "STORE:without_alignment" in done.stdout and "SASRec:tuned" in done.stdout


@pytest.mark.parametrize(
    ("words", "pairs"),
    [
        ([], []),
        (["--a=1", "--b", "2"], [("a", "1"), ("b", "2")]),
        (["--a=b=c", "--n", "-1"], [("a", "b=c"), ("n", "-1")]),
        (["--a="], [("a", "")]),
        (["--topk=[1, 5]"], [("topk", "[1, 5]")]),
    ],
)
def test_typed_properties(words, pairs):
    assert typed_properties(words, pytest.fail) == pairs


# Bad input: exit status 2 and one sentence

BAD_COMMAND_LINES = {
    "unknown model": (["--model=STOR"], ["STOR", "`STORE`"]),
    "one unknown model of two": (["--model=STORE,Popp"], ["`Popp`", "`Pop`"]),
    "a model twice": (["--model=STORE,STORE"], ["STORE,STORE"]),
    "no model": (["--model=,"], ["--model"]),
    "unknown variant": (["--model=STORE:tunde"], ["`STORE:tunde`", "without_alignment"]),
    "a model without variants": (["--model=Pop:tuned"], ["`Pop:tuned`", "none"]),
    "half a variant": (["--model=STORE:"], ["`STORE:`"]),
    "a dataset twice": (["--dataset=planted,planted"], ["planted,planted"]),
    "no seed": (["--seeds=0"], ["--seeds=0"]),
    "seeds that are no number": (["--seeds=three"], ["--seeds"]),
    "a run folder for several runs": (["--seeds=2", "--run_dir=here"], ["--run_dir"]),
    "no such folder beside": (["--beside=nowhere"], ["nowhere"]),
    "unknown dataset": (["--dataset=plant"], ["`plant`", "`planted`"]),
    "unknown property": (["--num_beam=20"], ["`num_beam`", "`num_beams`"]),
    "unknown profile": (["--profile=ful"], ["`ful`", "`full`"]),
    "no such property file": (["--config_files", "no.yaml"], ["no.yaml"]),
    "mistyped value": (["--epochs=many"], ["`epochs`", "'many'", "int"]),
    "value that is no YAML": (["--topk=[1,5"], ["'[1,5'"]),
    "value out of range": (["--tuning=some"], ["`tuning`", "lora"]),
    "fewer beams than topk": (["--num_beams=5"], ["`num_beams` is 5", "10"]),
    "valid_metric not computed": (["--valid_metric=MRR@3"], ["MRR@3"]),
    "unknown metric": (["--metrics=[NDCG,Recal]"], ["Recal"]),
    "unknown evaluation mode": (["--eval_args={mode: fulll}"], ["fulll"]),
    "missing text column": (["--item_text={title: '{}'}"], ["title", "colour, shape"]),
    "text piece that is no text": (["--item_text={colour: 5}"], ["colour", "5"]),
    "codebook larger than the catalogue": (["--codebook_size=61"], ["61", "60"]),
    "disambiguation level too small": (
        ["--n_slots=1", "--codebook_size=2", "--disambiguation_size=2", "--tokenizer_epochs=0"],
        ["`disambiguation_size` is 2"],
    ),
    "no such backbone": (["--backbone=/no/such/folder"], ["/no/such/folder"]),
    "more layers than there are": (["--backbone_layers=3"], ["`backbone_layers` is 3", "has 2"]),
    "adapters on layers that are not there": (
        ["--tuning=lora", "--lora_target_modules=[nope]"],
        ["nope"],
    ),
    "flag without value": (["--epochs"], ["--epochs"]),
    "flag before another": (["--epochs", "--seed=1"], ["--epochs"]),
    "property given twice": (["--epochs=1", "--epochs=2"], ["--epochs", "twice"]),
    "word without dashes": (["epochs=1"], ["epochs=1"]),
    "bare dashes": (["--=1"], ["--=1"]),
}


@pytest.mark.parametrize("case", BAD_COMMAND_LINES)
def test_bad_input_is_one_sentence(case, command, capsys):
    more, words = BAD_COMMAND_LINES[case]
    message = error_of(command(*more), capsys)
    assert all(word in message for word in words), message


def test_bad_input_of_a_comparison_stops_before_it_starts(command, capsys, monkeypatch):
    """Pop would run for a while before STORE's missing column came to light."""
    from recbole_store.experiments.comparison import runner

    monkeypatch.setattr(runner, "run_all", lambda *_: pytest.fail("must not start"))
    more = command("--item_text={title: '{}'}", model="Pop,STORE")
    assert "title" in error_of(more, capsys)
    assert not Path("saved").exists()


INTERACTIONS = [(f"u{u}", f"i{(3 * u + n) % 20}", n) for u in range(10) for n in range(6)]


def test_dataset_without_texts(command, capsys, write_dataset):
    data_path = str(write_dataset("bare", INTERACTIONS))
    message = error_of(command(dataset="bare", data_path=data_path), capsys)
    assert "bare.item" in message and "bare.text.jsonl" in message


def test_texts_of_other_items_only(command, capsys, write_dataset):
    """Ids of another data set's file, say: STORE would have nothing to learn from."""
    texts = [{"item_id": f"x{n}", "title": f"title {n}"} for n in range(20)]
    data_path = str(write_dataset("other", INTERACTIONS, texts=texts))
    settings = {"data_path": data_path, "item_text": None}
    message = error_of(command(dataset="other", **settings), capsys)
    assert "other.text.jsonl" in message


def test_dataset_without_interactions(command, capsys, write_dataset):
    data_path = str(write_dataset("empty", []))
    assert "empty.inter" in error_of(command(dataset="empty", data_path=data_path), capsys)


def test_malformed_item_file(command, capsys, write_dataset):
    lines = ["item_id:token\ttitle:token_seq", "i1\tone\ttoo many"]
    data_path = str(write_dataset("bad", INTERACTIONS, lines))
    settings = {"data_path": data_path, "item_text": None}
    assert "bad.item, line 2" in error_of(command(dataset="bad", **settings), capsys)


# Runs


def head_commit() -> str:
    command = ["git", "-C", str(SCRIPT.parent), "rev-parse", "--short=12", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def test_stages_that_end_in_their_warm_up_are_told_of(command, capsys):
    assert exit_status(command(warmup_steps=10_000)) == 0
    said = capsys.readouterr().out
    assert "Stage 1 has hardly learnt" in said and "Stage 2 has hardly learnt" in said


def test_a_store_run_writes_its_result(command, capsys, planted):
    metrics = ["Recall", "MRR", "NDCG", "Hit", "Precision", "ItemCoverage"]
    head = head_commit()
    assert exit_status(command("--seed=5", "--results=kept", metrics=metrics)) == 0
    stdout = capsys.readouterr().out

    (run_dir,) = Path("saved").iterdir()
    assert run_dir.name.startswith("STORE-planted-seed5-")
    assert any((run_dir / "tensorboard").glob("events.*"))
    assert not Path("log_tensorboard").exists()
    result = json.loads((run_dir / "result.json").read_text())
    assert json.loads(Path("kept/planted/STORE-seed5.json").read_text()) == result
    assert (result["model"], result["dataset"], result["seed"]) == ("STORE", "planted", 5)
    assert result["variant"] == "" and len(result["protocol_hash"]) == 16
    assert set(result["data_sha256"]) == {"planted.inter", "planted.item"}
    assert Path(result["run_dir"]) == run_dir
    assert f"{run_dir}/result.json" in stdout and table_of(stdout)[0] == ["STORE"]

    inter = (planted / "planted" / "planted.inter").read_text().splitlines()[1:]
    assert result["protocol"] == {
        "eval_args": {
            "split": {"LS": "valid_and_test"},
            "order": "TO",
            "group_by": "user",
            "mode": {"valid": "full", "test": "full"},
        },
        "repeatable": True,
        "filter_history": False,
        "exact_time_order": True,
        "max_item_list_length": 6,
        "n_users": N_USERS,
        "n_items": N_ITEMS,
        "n_interactions": len(inter),
        "n_test": N_USERS,
    }
    keys = {f"{name.lower()}@{k}" for name in metrics for k in (1, 5, 10)}
    for part in ("valid", "test"):
        figures = result[part]
        assert figures.keys() == keys
        assert all(0 <= value <= 1 for value in figures.values())
        assert figures["recall@1"] <= figures["recall@5"] <= figures["recall@10"]
        assert figures["recall@1"] == figures["hit@1"] == figures["precision@1"]
    assert result["test"]["recall@10"] > 0

    with np.load(Path(result["run_dir"], "items.npz")) as items:
        assert items["points"].shape == (N_ITEMS, 32)
        assert len(set(map(tuple, items["semantic_ids"]))) == len(set(items["raw_ids"])) == N_ITEMS

    times, sizes = result["times"], result["sizes"]
    assert times["epochs"] == len(result["curve"]) == 2
    assert all(times[key] > 0 for key in ("fit_s", "epoch_s", "valid_s", "test_s", "total_s"))
    assert times["total_s"] > times["fit_s"] + times["test_s"]
    assert 0 < sizes["trained_parameters"] < sizes["parameters"]
    assert sizes["peak_memory_gb"] > 0.1
    assert {"python", "torch", "recbole", "transformers", "peft"} <= result["versions"].keys()
    assert result["versions"]["recbole"] == "1.2.1"
    if (SCRIPT.parent / ".git").exists():
        assert result["git_commit"].removesuffix("-dirty") in {head, head_commit()}
    assert result["settings"]["codebook_size"] == 16
    assert max(row["valid_score"] for row in result["curve"]) == result["valid"]["ndcg@10"]

    header, *lines = (run_dir / "semantic_ids.tsv").read_text().splitlines()
    assert header == "item_id\tsemantic_id\ttext"
    rows = [line.split("\t") for line in lines]
    texts = {}
    for line in (planted / "planted" / "planted.item").read_text().splitlines()[1:]:
        raw_id, colour, shape = line.split("\t")
        texts[raw_id] = f"{colour} {shape}"
    assert {raw_id: text for raw_id, _, text in rows} == texts
    assert len({codes for _, codes, _ in rows}) == len(rows) == N_ITEMS
    assert all(len(codes.split()) == result["settings"]["n_slots"] + 1 for _, codes, _ in rows)
    assert all(0 <= int(code) < 16 for _, codes, _ in rows for code in codes.split())
    assert result["store"]["items_without_text"] == 0


def test_quick_baseline_beside_committed_results(command, capsys):
    """A folder of result files joins the table; the model's own old result stays out of it."""
    assert exit_status(command("--results=kept", model="Pop", epochs=1)) == 0
    kept = json.loads(Path("kept/planted/Pop-seed2020.json").read_text())
    (run_dir,) = Path("saved").iterdir()
    for name, score in (("Better", 0.99), ("Worse", 0.0), ("Pop", 0.5)):
        old = {**kept, "model": name, "seed": 1, "valid": {"ndcg@10": score}}
        Path(f"kept/planted/{name}-seed1.json").write_text(json.dumps(old))
    ablation = {**kept, "variant": "less", "seed": 1}
    Path("kept/planted/Pop-less-seed1.json").write_text(json.dumps(ablation))
    other = {**kept, "model": "Other", "seed": 1, "protocol": {**kept["protocol"], "n_users": 1}}
    Path("kept/planted/Other-seed1.json").write_text(json.dumps(other))

    capsys.readouterr()
    beside = ("--beside=kept/planted", "--run_dir=here")
    assert exit_status(command(*beside, model="Pop", epochs=1)) == 0
    stdout = capsys.readouterr().out
    names, rows = table_of(stdout)
    assert names == ["Better*", "Pop", "Worse*"]
    assert rows["Pop"][1] == f"{kept['valid']['ndcg@10']:.4f}", "the same run twice"
    assert "* kept result, read from kept/planted" in stdout
    assert "1 results of kept/planted followed another protocol." in stdout
    assert Path("here/result.json").is_file()
    assert list(Path("saved").iterdir()) == [run_dir]
    quick = (*beside[:1], "--run_dir=quick", "--profile=quick")
    assert exit_status(command(*quick, model="Pop", epochs=1)) == 0
    names, _ = table_of(capsys.readouterr().out)
    assert {"Pop*", "Pop:quick"} <= set(names), "the model by itself is another run"
    again = ["--resume=quick", beside[0]]
    assert exit_status(again) == 0
    assert table_of(capsys.readouterr().out)[0] == names


def test_a_run_that_goes_on_is_kept_where_it_was_to_be(command, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run, "test_model", stop)
        words = command("--results=kept", "--run_dir=one", model="BPR", epochs=1)
        assert exit_status(words) == 130
    assert not Path("kept").exists()
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    assert exit_status(["--resume=../one"]) == 0
    assert Path("../kept/planted/BPR-seed2020.json").is_file() and not Path("kept").exists()
    assert exit_status(["--resume=../one", "--results=other"]) == 0
    assert Path("other/planted/BPR-seed2020.json").is_file()


def test_a_single_run_always_runs_but_replaces_no_other_one_unasked(command, capsys):
    """The results folder may hold hours of work under that name."""
    words = ("--results=kept", "--run_dir=one")
    assert exit_status(command(*words, model="Pop", epochs=1)) == 0
    assert exit_status(command(*words, model="Pop", epochs=1)) == 0
    capsys.readouterr()
    assert exit_status(command(*words, model="Pop", epochs=2)) == 2
    assert "epochs 1, now 2" in capsys.readouterr().err
    assert exit_status(command(*words, "--replace", model="Pop", epochs=2)) == 0
    kept = json.loads(Path("kept/planted/Pop-seed2020.json").read_text())
    assert kept["hashed_settings"]["epochs"] == 2


def test_what_breaks_a_run_stands_in_its_log(command, monkeypatch):
    """A comparison's report names the log's last line."""
    from recbole.model.general_recommender.pop import Pop

    def broken(self, interaction):
        raise RuntimeError("no memory left, say")

    monkeypatch.setattr(Pop, "calculate_loss", broken)
    with pytest.raises(RuntimeError, match="no memory left"):
        exit_status(command("--run_dir=here", model="Pop", epochs=1))
    lines = Path("here/here.log").read_text().strip().splitlines()
    assert lines[-1] == "RuntimeError: no memory left, say"


def results_of(folder: str) -> dict[str, dict]:
    """Stem -> result, of the files kept on the planted data."""
    files = Path(folder, "planted").glob("*.json")
    return {file.stem: json.loads(file.read_text()) for file in files}


def test_comparison_of_store_and_pop(command, capfd):
    """Two real processes under one protocol; the settings that only STORE has stop nobody."""
    more = {"epochs": 1, "tokenizer_epochs": 1, "train_neg_sample_args": None}
    labels = "STORE:without_alignment,Pop"
    assert exit_status(command("--seed=3", model=labels, **more)) == 0
    captured = capfd.readouterr()
    results = results_of("results")
    assert results.keys() == {"STORE-without_alignment-seed3", "Pop-seed3"}
    store, pop = results["STORE-without_alignment-seed3"], results["Pop-seed3"]
    assert store["protocol"] == {**pop["protocol"], "max_item_list_length": 6}
    assert store["variant"] == "without_alignment" and store["settings"]["align_weight"] == 0
    assert store["seed"] == pop["seed"] == 3

    names, rows = table_of(captured.out)
    scores = {"STORE:without_alignment": store, "Pop": pop}
    scores = {label: result["valid"]["ndcg@10"] for label, result in scores.items()}
    assert names == sorted(scores, key=scores.get, reverse=True)
    for label, cells in rows.items():
        assert cells[1] == f"{scores[label]:.4f}"
    assert "run 1 of 2: STORE:without_alignment on planted, seed 3" in captured.out
    assert "Traceback" not in captured.err
    for name in ("results.csv", "pairs.csv", "protocol.json"):
        assert Path("results", name).stat().st_size > 0


def test_a_comparison_goes_on_where_it_ended(command, capfd):
    """What has finished is not run again, unless that is asked for."""

    def made(*words) -> list[str]:
        before = set(Path("saved").glob("*"))
        assert exit_status(command("--seed=3", *words, model="Pop", epochs=1)) == 0
        new = set(Path("saved").glob("*")) - before
        return sorted(re.sub(r"-\d{8}-\d{6}.*", "", path.name) for path in new)

    assert made("--results=results") == ["Pop-planted-seed3"]
    assert made("--seeds=2") == ["Pop-planted-seed4"]
    stdout = capfd.readouterr().out
    assert "Pop on planted, seed 3: finished, results/planted/Pop-seed3.json" in stdout
    assert "run 1 of 1: Pop on planted, seed 4; about " in stdout
    assert made("--seeds=2") == []
    assert table_of(capfd.readouterr().out)[1]["Pop"][0] == "2", "seeds"
    assert len(made("--seeds=2", "--again", "--no_table")) == 2


STAND_IN = """
import json, sys
from pathlib import Path
options = dict(word[2:].split("=", 1) for word in sys.argv[1:] if "=" in word)
if options["model"] == "SASRec":
    sys.exit("no memory left, say")
result = {
    "model": options["model"].partition(":")[0],
    "variant": options["model"].partition(":")[2].removesuffix(".yaml"),
    "dataset": options["dataset"],
    "seed": int(options["seed"]),
    "valid_metric": "NDCG@10",
    "valid": {"ndcg@10": 0.5},
    "test": {"recall@10": 0.5},
    "protocol": {"n_test": 100},
    "times": {"epochs": 1, "fit_s": 1, "epoch_s": 1, "test_s": 1},
    "sizes": {"trained_parameters": 1},
    "arguments": sys.argv[1:],
}
Path(options["run_dir"], "result.json").write_text(json.dumps(result))
"""


def test_what_the_processes_of_a_comparison_are_told(command, capfd, monkeypatch, tmp_path):
    """A stand-in script takes their place; one of them fails."""
    stand_in = tmp_path / "stand_in.py"
    stand_in.write_text(STAND_IN)
    monkeypatch.setattr(runner, "PROGRAM", [sys.executable, str(stand_in)])
    (tmp_path / "own.yaml").write_text("learning_rate: 0.5\n")
    labels = "Pop,SASRec,BPR:own.yaml"
    words = command("--results=kept", "--topk=[1,10]", "--seed=9", model=labels)
    assert exit_status([*words, "--seeds=2"]) == 1
    captured = capfd.readouterr()
    for seed in (9, 10):
        assert f"SASRec on planted, seed {seed} failed: exit status 1" in captured.err
    assert table_of(captured.out)[0] == ["Pop", "BPR:own"]
    results = results_of("kept")
    assert results.keys() == {"Pop-seed9", "BPR-own-seed9", "Pop-seed10", "BPR-own-seed10"}
    told = results["BPR-own-seed10"]["arguments"]
    assert {"--model=BPR:own.yaml", "--dataset=planted", "--topk=[1,10]", "--seed=10"} <= set(told)
    assert f"--config_files={tmp_path / 'tiny.yaml'}" in told
    assert "--compared_with=Pop,SASRec,BPR" in told and "--seed=9" not in told
    assert not [w for w in told if w.startswith(("--results", "--seeds"))]


def test_tables_of_a_results_folder(command, capsys):
    assert exit_status(command("--results=kept", model="Pop", epochs=1)) == 0
    csv = Path("kept/results.csv").read_bytes()
    Path("kept/results.csv").unlink()
    Path("README.md").write_text("<!-- results -->\n<!-- end of results -->\n")
    capsys.readouterr()
    assert run_recbole_store.main(["results", "kept", "--readme", "README.md"]) == 0
    assert table_of(capsys.readouterr().out)[0] == ["Pop"]
    assert Path("kept/results.csv").read_bytes() == csv
    assert "| Pop |" in Path("README.md").read_text()
    assert run_recbole_store.main(["results", "nowhere"]) == 2
    assert "no results folder nowhere" in capsys.readouterr().err
