"""The table of a comparison, from hand-written results."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from recbole_store.result_table import (
    MARKS,
    as_markdown,
    as_text,
    rows,
    standard_error,
    write_readme_table,
)


def result(model, valid, recall, n_test=100, **test) -> dict:
    return {
        "model": model,
        "valid_metric": "NDCG@10",
        "valid": {"ndcg@10": valid, "recall@10": 0.9},
        "test": {"recall@10": recall, "recall@5": 0.001, "ndcg@10": recall / 2, **test},
        "protocol": {"n_test": n_test},
        "times": {"epochs": 3, "fit_s": 12.34, "epoch_s": 4.0, "test_s": 90.0},
        "sizes": {"trained_parameters": 1234},
    }


def test_standard_error_by_hand():
    # sqrt(0.2 * 0.8 / 400) = sqrt(0.0004) = 0.02
    assert standard_error(0.2, 400) == pytest.approx(0.02)
    assert standard_error(0.0, 400) == standard_error(1.0, 400) == 0.0


def test_standard_error_is_the_spread_of_a_share():
    """Recall with one target each is a mean of zeros and ones."""
    hits = [1] * 30 + [0] * 70
    mean = sum(hits) / len(hits)
    spread = math.sqrt(sum((hit - mean) ** 2 for hit in hits) / len(hits))
    assert standard_error(mean, len(hits)) == pytest.approx(spread / math.sqrt(len(hits)))


def test_a_row_by_hand():
    header, body = rows([result("STORE", 0.1, 0.2, n_test=400)])
    assert header == [
        "model",
        "valid ndcg@10",
        "Recall@10",
        "NDCG@10",
        "epochs",
        "fit",
        "s/epoch",
        "test eval",
        "trained par.",
    ]
    assert body == [
        ["STORE", "0.1000", "0.2000 ±0.0200", "0.1000", "3", "12.3 s", "4.0", "1.5 min", "1.2k"]
    ]


def test_sorted_by_the_valid_metric_not_by_the_test():
    """Choosing by test figures would be peeking."""
    _, body = rows([result("low", 0.1, 0.9), result("high", 0.3, 0.1), result("mid", 0.2, 0.5)])
    assert [row[0] for row in body] == ["high", "mid", "low"]


def test_committed_results_are_marked_and_sorted_in():
    _, body = rows([result("new", 0.2, 0.5)], [result("old", 0.3, 0.5), result("older", 0.1, 0.5)])
    assert [row[0] for row in body] == ["old*", "new", "older*"]


def test_only_committed_results():
    _, body = rows([], [result("old", 0.3, 0.5)])
    assert [row[0] for row in body] == ["old*"]


def test_missing_metric_is_a_dash_and_comes_last():
    """A model without validation, and one measured with fewer metrics than the others."""
    without = result("without", 0.0, 0.5)
    without["valid"], without["times"]["epoch_s"] = {}, None
    del without["test"]["recall@10"]
    header, body = rows([without, result("with", 0.2, 0.5, **{"mrr@10": 0.25})])
    assert [row[0] for row in body] == ["with", "without"]
    cells = dict(zip(header, body[1], strict=True))
    assert (
        cells["valid ndcg@10"] == cells["Recall@10"] == cells["MRR@10"] == cells["s/epoch"] == "-"
    )
    assert cells["NDCG@10"] == "0.2500"
    assert dict(zip(header, body[0], strict=True))["MRR@10"] == "0.2500"


def test_value_metrics_have_no_cutoff():
    plain = result("FM", 0.0, 0.0)
    plain.update(valid_metric="AUC", valid={"auc": 0.7}, test={"auc": 0.6, "logloss": 0.5})
    header, body = rows([plain])
    assert header[:4] == ["model", "valid auc", "auc", "logloss"]
    assert body[0][:4] == ["FM", "0.7000", "0.6000", "0.5000"]


def test_text_is_aligned():
    text = as_text(*rows([result("STORE", 0.1, 0.2), result("Pop", 0.2, 0.3)]))
    lines = text.split("\n")
    assert len(lines) == 4 and len({len(line) for line in lines}) == 1
    assert set(lines[1]) == {"-", " "}
    assert lines[2].startswith("Pop  ") and lines[3].startswith("STORE")


def test_markdown():
    assert as_markdown(["model", "NDCG@10"], [["STORE", "0.1"], ["Pop*", "0.2"]]).split("\n") == [
        "| model | NDCG@10 |",
        "| --- | ---: |",
        "| STORE | 0.1 |",
        "| Pop* | 0.2 |",
    ]


def test_no_results():
    assert rows([]) == ([], [])
    assert as_text(*rows([])) == "No results."


def test_readme_table_replaces_only_what_is_between_the_marks(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{MARKS[0]}\nold\nlines\n{MARKS[1]}\nafter\n")
    results = [result("STORE", 0.1, 0.2), result("Pop", 0.2, 0.3)]
    write_readme_table(results, readme)
    table = as_markdown(*rows(results))
    assert readme.read_text() == f"before\n{MARKS[0]}\n{table}\n{MARKS[1]}\nafter\n"
    write_readme_table(results, readme)
    assert readme.read_text().count("STORE") == 1, "again, nothing more"


@pytest.mark.parametrize("text", ["no marks", f"{MARKS[0]} only one", f"{MARKS[1]} {MARKS[0]}"])
def test_readme_without_marks_is_left_alone(tmp_path, text):
    readme = tmp_path / "README.md"
    readme.write_text(text)
    with pytest.raises(ValueError, match="README.md has no"):
        write_readme_table([result("STORE", 0.1, 0.2)], readme)
    assert readme.read_text() == text


def test_our_readme_has_the_marks():
    readme = Path(__file__).resolve().parent.parent / "README.md"
    text = readme.read_text(encoding="utf-8")
    assert [text.count(mark) for mark in MARKS] == [1, 1]
    assert text.index(MARKS[0]) < text.index(MARKS[1])
