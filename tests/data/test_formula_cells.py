"""No text of a data set runs as a formula in whoever's spreadsheet."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from planted_runs import write_run

from recbole_store.data.formula_cells import harmless
from recbole_store.experiments.results.results_folder import keep
from recbole_store.tokenizer.semantic_ids import write_table


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-cmd|x", "@SUM(A1)", "\t=1", "\r=1", "-"])
def test_what_begins_a_formula_gets_an_apostrophe(text):
    assert harmless(text) == "'" + text


@pytest.mark.parametrize("text", ["", "a=1", "-0.0043", "+12", "-1e-05", "5", "'=1", "B000-1"])
def test_figures_and_other_texts_stay(text):
    assert harmless(text) == text


def test_no_table_that_is_written_has_a_formula(tmp_path):
    write_table(tmp_path / "ids.tsv", ["=A1", "i2"], torch.tensor([[1], [2]]), ["ok", "@home"])
    rows = list(csv.reader((tmp_path / "ids.tsv").open(newline=""), delimiter="\t"))
    assert rows[1:] == [["'=A1", "1", "ok"], ["i2", "2", "'@home"]]
    for model in ("=Pop", "BPR"):
        keep(write_run(Path(model), [1, 2, 0], model=model, dataset="planted"), Path("results"))
    for name in ("results.csv", "pairs.csv"):
        with Path("results", name).open(newline="") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        assert "'=Pop" in cells and not [cell for cell in cells if harmless(cell) != cell]
