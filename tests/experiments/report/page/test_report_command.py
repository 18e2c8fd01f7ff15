"""The command writes one file, or says in a sentence why not."""

from __future__ import annotations

import pytest
from planted_results import Planted

from recbole_store.experiments.report.page.command import main


@pytest.fixture
def planted(tmp_path) -> Planted:
    one = Planted(tmp_path, n_users=12, seeds=(2020,), skill={"STORE": 0.7, "Pop": 0.3})
    one.write()
    return one


def test_the_file_is_written_and_named(planted, capsys, tmp_path):
    out = tmp_path / "new" / "page.html"
    data = f"--data_path={planted.data_path}"
    assert main([str(planted.results), data, "--out", str(out)]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith(str(out)) and shown.err == ""
    assert out.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert "Film 7 (1990)" in out.read_text(encoding="utf-8")
    assert [path.name for path in out.parent.iterdir()] == ["page.html"], "nothing unfinished"


def test_it_needs_the_result_files_alone(planted):
    for name in ("results.csv", "pairs.csv", "protocol.json"):
        (planted.results / name).write_text("{")
    assert main([str(planted.results)]) == 0


def test_what_is_left_out_is_named_on_the_page_too(planted, capsys):
    path = planted.path("Pop").with_suffix(".npz")
    path.write_bytes((planted.path("STORE").with_suffix(".npz")).read_bytes())
    assert main([str(planted.results)]) == 0
    said = "The ranks of Pop on ml-planted, seed 2020 give ndcg@10"
    assert said in capsys.readouterr().err
    assert said in (planted.results / "report.html").read_text()


def test_a_folder_that_cannot_be_written(planted, capsys):
    taken = planted.root / "taken"
    taken.write_text("")
    assert main([str(planted.results), "--out", str(taken / "report.html")]) == 2
    assert "error: Cannot write" in capsys.readouterr().err


def test_no_such_folder(capsys):
    assert main(["nowhere"]) == 2
    assert "There is no results folder nowhere" in capsys.readouterr().err


def test_wrong_arguments_are_one_sentence(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["--colour=red"])
    assert capsys.readouterr().err.count("\n") == 1
