"""First words, help, and what is likest to a word that nobody knows."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module

import pytest

from recbole_store import __version__, cli
from recbole_store.cli.commands import GROUPS
from recbole_store.cli.run_words import variants
from recbole_store.settings.descriptions import line_of
from recbole_store.settings.property_files import PLUGIN_MODELS


def said(words, capsys) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of a command line."""
    capsys.readouterr()
    try:
        status = cli.main(words)
    except SystemExit as stopped:
        status = stopped.code
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_alone_it_prints_help_on_every_command(capsys):
    status, shown, wrong = said([], capsys)
    assert status == 0 and not wrong and shown.startswith("usage: recbole-store COMMAND")
    for name in cli.COMMANDS:
        assert f"\n  {name} " in shown
    assert said(["--help"], capsys)[1] == said(["help"], capsys)[1] == shown


def test_every_command_has_a_parser_a_main_and_a_line():
    for group in GROUPS.values():
        for name, command in group.items():
            module = import_module(command.module)
            p = module.parser(name) if name in cli.RUNS else module.parser()
            assert p.prog == f"recbole-store {name}" and p.description and command.what
            assert callable(module.run if name in cli.RUNS else module.main)


def test_version_names_what_is_under_it(capsys):
    status, shown, _ = said(["--version"], capsys)
    assert status == 0
    assert shown.startswith(f"recbole-store {__version__}, Python 3.") and "recbole 1.2.1" in shown


def test_help_and_completion_of_words_wait_for_nothing_heavy():
    code = (
        "import sys, os; os.environ['RECBOLE_STORE_REGISTER'] = '0'\n"
        "from recbole_store import cli\n"
        "cli.main([]); cli.main(['settings', 'STORE']); cli.main(['--version'])\n"
        "print(sorted({'torch', 'recbole', 'pandas', 'transformers'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


LIKEST = {
    "a command": (["trian"], ["'trian'", "did you mean `train`?"]),
    "no command at all": (["xyzzy"], ["'xyzzy'", "there are", "prepare, check, train"]),
    "a flag of a run": (["--profil=full"], ["--profil", "did you mean `--profile`?"]),
    "a flag of train": (
        ["train", "--model=Pop", "--dataset=ml-100k", "--resum=a"],
        ["did you mean `--resume`?"],
    ),
    "a flag of a command": (["results", "--reamde=x"], ["--reamde", "did you mean `--readme`?"]),
    "a flag below a command": (
        ["prepare", "table", "--raw", "a", "--out", "b", "--min_histroy=3"],
        ["--min_histroy", "did you mean `--min_history`?"],
    ),
    "a flag of tune": (["tune", "--modle=STORE"], ["--model"]),
    "the data set's flag": (["train", "--model=Pop", "--datset=x"], ["did you mean `--dataset`?"]),
    "a key": (["--model=Pop", "--epoch=1"], ["`epoch`", "did you mean `epochs`?"]),
    "a model": (["train", "--model=STOR", "--dataset=ml-100k"], ["did you mean `STORE`?"]),
    "a variant": (
        ["train", "--model=STORE:txt", "--dataset=ml-100k"],
        ["did you mean `text`?", "short_histories"],
    ),
    "a key to look up": (["settings", "STORE", "num_beam"], ["did you mean `num_beams`?"]),
    "a model to look up": (["settings", "Store"], ["did you mean `STORE`?"]),
    "nothing is near": (["results", "--zzz=x"], ["unknown argument '--zzz=x'\n"]),
}


@pytest.mark.parametrize("case", LIKEST)
def test_an_unknown_word_is_told_the_likest(case, capsys):
    words, expected = LIKEST[case]
    status, _, wrong = said(words, capsys)
    assert status == 2 and wrong.startswith("error: ") and wrong.count("\n") == 1, wrong
    assert all(word in wrong for word in expected), wrong


VERBS = {
    "train without a data set": (["train", "--model=Pop"], "--dataset"),
    "compare without models": (["compare", "--dataset=ml-100k"], "--model"),
    "train of several models": (["train", "--model=Pop,BPR", "--dataset=ml-100k"], "compare"),
    "train of several seeds": (
        ["train", "--model=Pop", "--dataset=ml-100k", "--seeds=2"],
        "compare",
    ),
    "compare that goes on": (["compare", "--resume=saved/x"], "--resume"),
    "compare in one folder": (
        ["compare", "--model=Pop", "--dataset=ml-100k", "--run_dir=here"],
        "--run_dir",
    ),
}


@pytest.mark.parametrize("case", VERBS)
def test_verbs_refuse_what_is_the_other_s(case, capsys):
    words, expected = VERBS[case]
    status, _, wrong = said(words, capsys)
    assert status == 2 and wrong.count("\n") == 1 and expected in wrong, wrong


def test_help_on_runs_has_a_line_on_each_variant(capsys):
    for verb in cli.RUNS:
        shown = " ".join(said([verb, "--help"], capsys)[1].split())
        assert "what to run, required:" in shown
        for label in [*PLUGIN_MODELS, *variants()]:
            model, _, variant = label.partition(":")
            assert f"{label} {line_of(model, variant)}" in shown
    assert "--run_dir" in said(["train", "--help"], capsys)[1]
    assert "--run_dir" not in said(["compare", "--help"], capsys)[1]


def test_train_and_compare_run(planted, capfd):
    """Pop, which is there in seconds: one in this process, one in a process of its own."""
    words = ["--model=Pop", "--dataset=planted", f"--data_path={planted}", "--epochs=1"]
    words += ["--show_progress=False", "--gpu_id="]
    assert cli.main(["train", *words, "--run_dir=one"]) == 0
    assert cli.main(["compare", *words]) == 0
    kept = "results/planted/Pop-seed2020.json"
    one, other = (json.load(open(path)) for path in ("one/result.json", kept))
    assert one["test"] == other["test"] and one["protocol_hash"] == other["protocol_hash"]
    assert "Kept in results" in capfd.readouterr().out


@pytest.mark.parametrize("verb", cli.RUNS)
def test_json_is_all_that_stdout_has(verb, planted, capfd):
    words = ["--model=Pop", "--dataset=planted", f"--data_path={planted}", "--epochs=1"]
    assert cli.main([verb, *words, "--gpu_id=", "--json"]) == 0
    shown, wrong = capfd.readouterr()
    told = json.loads(shown)
    (run,) = told["runs"]
    assert len(told["verdicts"]) == 1 and "Pop" in told["verdicts"][0] and told["failed"] == []
    result = json.load(open(run["result"]))
    assert run["test"] == result["test"] and run["model"] == "Pop" and run["seed"] == 2020
    assert "epoch   1" in wrong and "model  " not in wrong, "the table is in the object"


@pytest.mark.parametrize("verb", cli.RUNS)
def test_quiet_is_the_end_alone_and_verbose_has_recboles_settings(verb, planted, capfd):
    words = [verb, "--model=Pop", "--dataset=planted", f"--data_path={planted}", "--epochs=1"]
    assert cli.main([*words, "--gpu_id=", "-q"]) == 0
    shown, wrong = capfd.readouterr()
    assert "Pop" in shown and "epoch" not in shown.split("model ")[0] and "===" not in shown
    assert wrong == ""
    again = [] if verb == "train" else ["--again"]
    assert cli.main([*words, *again, "--gpu_id=", "-v"]) == 0
    shown, _ = capfd.readouterr()
    assert "Training Hyper Parameters:" in shown and "\x1b" not in shown
    assert "epoch   1" in shown
    assert said([*words, "-q", "-v"], capfd)[0] == 2
