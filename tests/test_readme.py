"""What README and docs say can be typed, and their figures are those of the committed files."""

import re
import shlex
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from recbole_store import cli
from recbole_store.errors import RecBoleMissing
from recbole_store.experiments.comparison.plan import parse_datasets, parse_labels
from recbole_store.experiments.comparison.readme import MARKS, TRIAL_MARKS, readme_text
from recbole_store.experiments.report.tables.tables import tables
from recbole_store.experiments.report.tables.trial_table import trial_tables
from recbole_store.experiments.results.groups import comparable_groups
from recbole_store.experiments.results.results_folder import read_runs, remake
from recbole_store.experiments.run.fingerprint import (
    NEW_ITEM_RULES,
    hash_of_parts,
    hashed_settings,
    model_checksums,
    result_version,
)
from recbole_store.settings import property_files
from recbole_store.settings import resolve as settings_of
from recbole_store.settings.profile import Profile

ROOT = Path(__file__).resolve().parent.parent
RECBOLE = "recbole==1.2.1"
SHORT = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
README = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
LINES = [line.split("#")[0].strip() for block in BLOCKS for line in block.splitlines()]
TYPED = [re.search(r"(?:run_recbole_store\.py|recbole-store) +(\S.*)", line) for line in LINES]
WORDS = [shlex.split(typed[1]) for typed in TYPED if typed]
RUNS = [words for words in WORDS if words[0] in cli.RUNS or words[0].startswith("--")]
COMMANDS = [words for words in WORDS if words not in RUNS]


def test_the_make_targets_exist():
    named = [line.split()[1] for line in LINES if line.startswith("make ")]
    targets = re.findall(r"^([\w-]+):", MAKEFILE, re.MULTILINE)
    assert set(re.findall(r"`make ([\w-]+)`", README)) <= set(targets)
    assert {"run", "test"} <= set(named) <= set(targets)


def test_ci_runs_the_test_command_of_readme():
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert {"make check", "make test"} <= set(lines)


def test_the_installation_is_the_same_everywhere(monkeypatch):
    """README, Makefile, metadata and what is said without RecBole name one RecBole."""
    line = f"pip install --no-deps {RECBOLE}"
    assert f".venv/bin/python -m {line}" in LINES
    assert f"--no-deps {RECBOLE}\n" in MAKEFILE
    monkeypatch.setattr(property_files.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(RecBoleMissing, match=line):
        property_files.recbole_folder.__wrapped__()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert f"{RECBOLE}; python_version < '3.12'" in project["project"]["dependencies"]
    assert RECBOLE in project["tool"]["uv"]["override-dependencies"]


@pytest.mark.parametrize("words", RUNS, ids=" ".join)
def test_a_run_s_arguments_are_understood(words, monkeypatch):
    verb = words[0] if words[0] in cli.RUNS else ""
    parser = cli.parser(verb)
    arguments, unknown = parser.parse_known_args(words[1:] if verb else words)
    typed = dict(cli.typed_properties(unknown, parser.error))
    if arguments.resume:  # by its folder alone
        assert not cli.asked_anew(arguments, list(typed.items()))
        return
    if arguments.dataset != "ml-100k":  # the reader's own data: everything but the files is checked
        monkeypatch.setattr(settings_of, "check_dataset", lambda *_: None)
        monkeypatch.setattr(settings_of, "check_columns", lambda *_: None)
        monkeypatch.setattr(settings_of, "check_named_columns", lambda *_: None)
    labels = parse_labels(arguments.model)
    models = [model for model, _ in labels]
    for model, variant in labels:
        for dataset in parse_datasets(arguments.dataset):
            assert settings_of.resolve(model, dataset, [], typed, models, variant=variant)
    if arguments.beside:
        assert (ROOT / arguments.beside).is_dir()


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_s_arguments_are_understood(words):
    assert import_module(cli.COMMANDS[words[0]]).parser().parse_args(words[1:])


def test_the_tables_are_those_of_the_committed_results():
    runs = read_runs(ROOT / "results")
    assert {"STORE", "SASRecAll", "Pop"} <= {kept.label for kept in runs}
    assert f"{MARKS[0]}\n{readme_text(tables(runs, slices=True))}\n{MARKS[1]}" in README
    kept = trial_tables(ROOT / "results").values()
    trials = readme_text([table for of_data in kept for table in of_data])
    assert "SASRecAll" in trials and f"{TRIAL_MARKS[0]}\n{trials}\n{TRIAL_MARKS[1]}" in README


def test_the_short_table_is_that_of_the_committed_results():
    """Labels of one seed on Beauty, items of the history left out."""
    table = SHORT.split("<!-- short table -->")[1].split("<!-- end of short table -->")[0]
    rows = re.findall(
        r"^\| (\w+(?::\w+)?)(?:: [^|]+)? \| \**(\.\d+)\** \| \**(\.\d+)\** \|", table, re.MULTILINE
    )
    assert len(rows) == table.count("\n| ") - 3  # but the head and what is published
    runs = {
        kept.label: kept.result
        for kept in read_runs(ROOT / "results")
        if "Beauty" == kept.run.dataset
    }
    for label, recall, ndcg in rows:
        test = runs[label]["tests"]["filtered"]
        assert (recall, ndcg) == (f"{test['recall@10']:.4f}"[1:], f"{test['ndcg@10']:.4f}"[1:]), (
            label
        )


def test_pages_link_to_what_is_there():
    for page in PAGES:
        for link in re.findall(r"\]\((?!http|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), (page.name, link)


def test_the_modules_of_the_architecture_page_are_there():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:\w+/)+\w+\.py)`", text)
    assert len(named) > 12
    for name in named:
        assert (ROOT / "recbole_store" / name).is_file() or (ROOT / name).is_file(), name


def test_the_committed_tables_are_made_of_the_committed_runs(tmp_path):
    for kept in (ROOT / "results").glob("*/*-seed*.*"):
        folder = tmp_path / kept.parent.name
        folder.mkdir(exist_ok=True)
        (folder / kept.name).write_bytes(kept.read_bytes())
    remake(tmp_path)
    for name in ("results.csv", "pairs.csv", "protocol.json"):
        assert (tmp_path / name).read_text() == (ROOT / "results" / name).read_text(), name


def test_every_committed_result_of_a_data_set_followed_one_protocol():
    """Two where a draw of cold items was withheld from some of the runs."""
    groups = comparable_groups(read_runs(ROOT / "results"))
    kinds = [{(kept.run.dataset, bool(kept.result["cold"])) for kept in group} for group in groups]
    assert all(len(of_group) == 1 for of_group in kinds)
    assert len(set.union(*kinds)) == len(groups)


@pytest.mark.parametrize("kept", read_runs(ROOT / "results"), ids=lambda kept: str(kept.run))
def test_the_committed_runs_are_recognised(kept, monkeypatch):
    """Today's property files, with what `make` types, are what the run was made with."""
    run = kept.run
    monkeypatch.setattr(settings_of, "check_dataset", lambda *_: None)
    monkeypatch.setattr(settings_of, "check_columns", lambda *_: None)
    monkeypatch.setattr(settings_of, "check_named_columns", lambda *_: None)
    target = {"ml-100k": "results", "Beauty": "beauty", "Steam-100K": "steam"}[run.dataset]
    recipe = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)[1]
    for name in ("ON_BEAUTY", "FILTERED"):
        recipe = recipe.replace(f"$({name})", re.search(rf"^{name} := (.*)", MAKEFILE, re.M)[1])
    typed = dict(re.findall(r"--(filter_history|max_hours)=(\S+)", recipe))
    # What was chosen by the data; tests/plugin/profiles choose it again.
    chosen = kept.result.get("profile")
    profile = Profile("auto", chosen["settings"], "", "") if chosen else None
    resolved = settings_of.resolve(
        run.model, run.dataset, [], typed, profile=profile, variant=run.variant
    )
    now = hashed_settings(run.model, run.dataset, {**resolved, "seed": run.seed})
    assert now == kept.result["hashed_settings"]
    version = result_version(run.model, resolved)
    if kept.result["cold"]:  # a row of earlier rules is marked in its table
        version -= NEW_ITEM_RULES - kept.result["cold"].get("rules", 1)
    assert kept.result["result_version"] == version
    assert kept.result["model_sha256"] == model_checksums(run.model, resolved)
    names = ("result_version", "hashed_settings", "data_sha256", "model_sha256")
    parts = {name: kept.result[name] for name in names}
    hashed = hash_of_parts(run.model, run.dataset, kept.result["versions"], **parts)
    assert hashed == kept.result["protocol_hash"]
