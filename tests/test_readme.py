"""What README says can be typed, and its figures are those of the committed result files."""

import re
import shlex
from pathlib import Path

import pytest

from recbole_store import result_table, settings
from recbole_store.comparison import read_results

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
LINES = [line.split("#")[0].strip() for block in BLOCKS for line in block.splitlines()]
RUNS = [line for line in LINES if "run_recbole_store.py" in line]


def test_the_make_targets_exist():
    named = [line.split()[1] for line in LINES if line.startswith("make ")]
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {"run", "test"} <= set(named) <= set(targets)


def test_ci_runs_the_test_command_of_readme():
    assert "make test" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("line", RUNS)
def test_a_run_s_arguments_are_understood(line, monkeypatch):
    import run_recbole_store

    words = shlex.split(line)
    parser = run_recbole_store.parser()
    arguments, unknown = parser.parse_known_args(words[words.index("run_recbole_store.py") + 1 :])
    typed = dict(run_recbole_store.typed_properties(unknown, parser.error))
    if arguments.dataset != "ml-100k":  # the reader's own data: everything but the files is checked
        monkeypatch.setattr(settings, "check_dataset", lambda *_: None)
    models = arguments.model.split(",")
    for model in models:
        assert settings.resolve(model, arguments.dataset, [], typed, models)
    if arguments.beside:
        assert (ROOT / arguments.beside).is_dir()


def test_the_table_is_that_of_the_committed_results():
    results = read_results(ROOT / "results" / "ml-100k")
    assert {"STORE", "SASRec", "Pop"} <= {result["model"] for result in results}
    table = result_table.as_markdown(*result_table.rows(results))
    assert f"{result_table.MARKS[0]}\n{table}\n{result_table.MARKS[1]}" in README


def test_every_committed_result_followed_one_protocol():
    results = read_results(ROOT / "results" / "ml-100k")
    protocols = [
        {k: v for k, v in result["protocol"].items() if k != "max_item_list_length"}
        for result in results
    ]
    assert all(protocol == protocols[0] for protocol in protocols)
    assert len({result["seed"] for result in results}) == 1
