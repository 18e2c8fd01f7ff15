"""Reading a results folder: what is there, what is gone, what is broken."""

from __future__ import annotations

import json

import numpy as np
import pytest

from recbole_store.experiments.report.page.command import main
from recbole_store.experiments.report.page.data import read_results
from recbole_store.experiments.report.page.group import groups_of


def group_of(planted, results=None):
    """The one group of a planted data set."""
    groups = groups_of(results or read_results(planted.results))
    (found,) = [group for group in groups if group.name == planted.dataset]
    return found


def test_runs_and_labels(report):
    films = group_of(report.films, report.results)
    assert report.results.datasets == ["ml-planted", "Books & <more>"]
    assert {(run.label, run.seed) for run in films.runs} == {
        (label, seed) for label in report.films.skill for seed in (2020, 2021)
    }
    assert [run.seed for run in films.of("SASRec:tuned")] == [2020, 2021]


def test_labels_are_sorted_by_validation(report):
    films = group_of(report.films, report.results)
    valid = [films.of(label)[0].result["valid"]["ndcg@10"] for label in films.labels]
    means = [
        np.mean([run.result["valid"]["ndcg@10"] for run in films.of(label)])
        for label in films.labels
    ]
    assert means == sorted(means, reverse=True) and len(valid) == 4


def test_users_values_are_means_over_seeds(report):
    films = group_of(report.films, report.results)
    found = films.user_values("STORE", "recall@10", "filtered/all")
    ranks = np.stack([report.films.ranks("STORE", seed, "filtered") for seed in (2020, 2021)])
    assert found == pytest.approx(((ranks > 0) & (ranks <= 10)).mean(axis=0))


def test_labels_by_an_error_are_the_smallest_first(planted_results):
    for label in planted_results.skill:
        for seed in planted_results.seeds:
            result = planted_results.path(label, seed)
            content = json.loads(result.read_text())
            content["valid_metric"] = "RMSE"
            content["valid"] = {"rmse": planted_results.skill[label]}
            result.write_text(json.dumps(content))
    found = group_of(planted_results).labels
    assert found == sorted(found, key=planted_results.skill.get) and len(found) > 1


def test_no_value_beyond_the_ranks_that_are_known(report):
    films = group_of(report.films, report.results)
    assert films.user_values("STORE", "recall@41", "filtered/all") is None, "40 items"


def test_seeds_of_different_users_have_no_common_values(planted_results):
    planted_results.seeds = (2020, 2021)
    planted_results.skill = {"Pop": 0.3}
    for path in planted_results.results.rglob("*.csv"):
        path.unlink()
    for folder in planted_results.root.glob("saved/*"):
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
    planted_results.write()
    path = planted_results.results / planted_results.dataset / "Pop-seed2021.npz"
    with np.load(path) as arrays:
        changed = {**arrays, "users_digest": np.array("others")}
    np.savez(path, **changed)
    part = group_of(planted_results)
    assert part.user_values("Pop", "recall@10", "filtered/all") is None


def test_a_run_folder_beside_the_results_is_found(planted_results, monkeypatch, tmp_path):
    """Results that were moved with their runs: the folder's name is relative."""
    path = planted_results.results / planted_results.dataset / "STORE-seed2020.json"
    text = path.read_text()
    path.write_text(text.replace(f"{planted_results.root}/", ""))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (run,) = group_of(planted_results).of("STORE")
    assert run.file("items.npz")


def drop(name):
    return lambda results: (results / name).unlink()


def write(name, text):
    return lambda results: (results / name).write_text(text)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (drop("results.csv"), "results.csv is not there"),
        (write("results.csv", ""), "results.csv is not a readable CSV"),
        (write("results.csv", "a,b\n1,2\n"), "results.csv has no column dataset"),
        (
            write("results.csv", "dataset,model,variant,seed,slice,metric,value\n"),
            "results.csv holds no figures",
        ),
        (
            write(
                "results.csv", "dataset,model,variant,seed,slice,metric,value\na,b,,1,c,d,high\n"
            ),
            "results.csv, line 2: `value` is 'high'",
        ),
        (
            lambda results: [path.unlink() for path in results.glob("*/*.json")],
            "has no result file of a run",
        ),
        (write("protocol.json", "{"), "protocol.json is not readable JSON"),
        (write("protocol.json", "[]"), "protocol.json holds no JSON object"),
        (write("ml-planted/Pop-seed2020.json", "{}"), "is no result of a run: it has no `model`"),
        (write("ml-planted/Pop-seed2020.npz", "no zip"), "Pop-seed2020.npz"),
    ],
)
def test_what_is_broken_is_one_sentence(planted_results, damage, said, capsys):
    damage(planted_results.results)
    assert main([str(planted_results.results)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and said in error and error.count("\n") == 1
    assert not (planted_results.results / "report.html").exists()


def test_no_such_folder(capsys):
    assert main(["nowhere"]) == 2
    assert "There is no results folder nowhere" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written(planted_results, capsys):
    taken = planted_results.root / "taken"
    taken.write_text("")
    assert main([str(planted_results.results), "--out", str(taken / "report.html")]) == 2
    assert "error: Cannot write" in capsys.readouterr().err


def test_the_command_writes_the_file_and_says_where(planted_results, capsys, tmp_path):
    out = tmp_path / "new" / "page.html"
    assert main([str(planted_results.results), "--out", str(out)]) == 0
    assert capsys.readouterr().out.startswith(str(out))
    assert out.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert [path.name for path in out.parent.iterdir()] == ["page.html"], "nothing unfinished"


def test_wrong_arguments_are_one_sentence(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["--colour=red"])
    assert capsys.readouterr().err.count("\n") == 1


def test_ranks_of_another_run_are_told_apart(planted_results):
    """The .npz of one run under the name of another: its figures are not results.csv's."""
    from recbole_store.experiments.report.page.page import page

    folder = planted_results.results / planted_results.dataset
    (folder / "Pop-seed2020.npz").write_bytes((folder / "STORE-seed2020.npz").read_bytes())
    html = page(read_results(planted_results.results), "today")
    assert "The ranks kept of these runs do not give the figures of results.csv" in html
    assert "Pop, seed 2020, unfiltered" in html
