"""`results --add RUN`: a single run joins a results folder, under a comparison's rules."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recbole_store import cli


@pytest.fixture
def pop(planted):
    """``pop(name, *words)`` -> folder of a finished run of Pop."""

    def run(name: str, *words: str) -> Path:
        shared = ["--model=Pop", "--dataset=planted", f"--data_path={planted}", "--gpu_id="]
        words = [*shared, "--show_progress=False", f"--run_dir=saved/{name}", *words]
        assert cli.main(words) == 0
        return Path("saved", name)

    return run


def refused(words, capsys) -> str:
    capsys.readouterr()
    assert cli.main(words) == 2
    return capsys.readouterr().err


def test_a_single_run_joins_others(pop, capsys):
    one, other = pop("one", "--epochs=1"), pop("two", "--epochs=1", "--seed=5")
    assert cli.main(["results", "kept", "--add", str(one), str(other)]) == 0
    shown = capsys.readouterr().out
    assert "Pop on planted, seed 5 is in it now." in shown
    for seed, run in ((2020, one), (5, other)):
        kept = Path(f"kept/planted/Pop-seed{seed}.json")
        assert json.loads(kept.read_text()) == json.loads((run / "result.json").read_text())
        assert kept.with_suffix(".npz").is_file()
    assert "Pop,,5," in Path("kept/results.csv").read_text()
    assert cli.main(["results", "kept", "--add", str(one)]) == 0, "the same run once more"


def test_what_would_be_lost_is_not_replaced_unasked(pop, capsys):
    one, longer = pop("one", "--epochs=1"), pop("longer", "--epochs=2")
    assert cli.main(["results", "kept", "--add", str(one)]) == 0
    said = refused(["results", "kept", "--add", str(longer)], capsys)
    assert "epochs 1, now 2" in said and "--replace" in said
    assert cli.main(["results", "kept", "--add", str(longer), "--replace"]) == 0
    kept = json.loads(Path("kept/planted/Pop-seed2020.json").read_text())
    assert kept["hashed_settings"]["epochs"] == 2


def test_seeds_of_one_label_have_one_setting(pop, capsys):
    one, other = pop("one", "--epochs=1"), pop("two", "--epochs=2", "--seed=5")
    assert cli.main(["results", "kept", "--add", str(one)]) == 0
    assert "seeds are averaged" in refused(["results", "kept", "--add", str(other)], capsys)
    assert not Path("kept/planted/Pop-seed5.json").exists()


def test_no_run_no_addition(pop, capsys):
    assert "nowhere" in refused(["results", "kept", "--add", "nowhere"], capsys)
    chosen = pop("chosen", "--epochs=1", "--validation_gap=1", "--repeatable=True")
    assert "validation_gap" in refused(["results", "kept", "--add", str(chosen)], capsys)
    assert not Path("kept").exists()
