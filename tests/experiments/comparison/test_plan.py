"""Which runs a comparison has, and their names."""

from __future__ import annotations

import pytest

from recbole_store.errors import SettingsError
from recbole_store.experiments.comparison.plan import (
    new_run_dir,
    parse_datasets,
    parse_labels,
    plan,
)
from recbole_store.experiments.results.run_key import Run

TUNED = Run("ml-100k", "SASRec", "tuned", 2021)


def test_names():
    assert (TUNED.label, TUNED.stem) == ("SASRec:tuned", "SASRec-tuned-seed2021")
    assert str(TUNED) == "SASRec:tuned on ml-100k, seed 2021"
    plain = Run("ml-100k", "Pop", "", 1)
    assert (plain.label, plain.stem) == ("Pop", "Pop-seed1")


def test_labels():
    assert parse_labels("STORE, SASRec:tuned,") == [("STORE", ""), ("SASRec", "tuned")]
    assert parse_labels("STORE,STORE:tuned") == [("STORE", ""), ("STORE", "tuned")]


def test_a_variant_that_is_a_file_is_known_by_its_name():
    labels = parse_labels("STORE:own/STORE-wide.yaml,Pop")
    assert labels == [("STORE", "own/STORE-wide.yaml"), ("Pop", "")]
    wide, pop = plan(labels, ["ml-100k"], 2020, 1)
    assert wide == Run("ml-100k", "STORE", "wide", 2020)
    assert (wide.label, wide.stem) == ("STORE:wide", "STORE-wide-seed2020")
    assert (wide.typed, pop.typed) == ("STORE:own/STORE-wide.yaml", "Pop")


@pytest.mark.parametrize(
    "text", ["", ",", "STORE,STORE", "STORE:", ":tuned", "A:b,A:b", "A:b,A:own/A-b.yaml"]
)
def test_bad_labels(text):
    with pytest.raises(SettingsError, match=f"--model={text}"):
        parse_labels(text)


def test_datasets():
    assert parse_datasets("ml-100k, Beauty") == ["ml-100k", "Beauty"]
    for text in ("", "a,a"):
        with pytest.raises(SettingsError, match="--dataset"):
            parse_datasets(text)


def test_everything_with_a_seed_comes_before_the_next_seed():
    runs = plan([("STORE", ""), ("SASRec", "tuned")], ["one", "two"], 2020, 2)
    assert [(r.dataset, r.label, r.seed) for r in runs] == [
        ("one", "STORE", 2020),
        ("one", "SASRec:tuned", 2020),
        ("two", "STORE", 2020),
        ("two", "SASRec:tuned", 2020),
        ("one", "STORE", 2021),
        ("one", "SASRec:tuned", 2021),
        ("two", "STORE", 2021),
        ("two", "SASRec:tuned", 2021),
    ]


def test_run_folders_never_collide(tmp_path):
    folders = [new_run_dir(tmp_path, TUNED) for _ in range(5)]
    assert len(set(folders)) == 5 and all(folder.is_dir() for folder in folders)
    assert all(f.name.startswith("SASRec-tuned-ml-100k-seed2021-") for f in folders)


def test_a_run_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "saved").write_text("a file")
    with pytest.raises(SettingsError, match="Cannot make the folder"):
        new_run_dir(tmp_path / "saved", TUNED)
