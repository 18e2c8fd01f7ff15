"""Results -> one table, for the console and for README."""

from __future__ import annotations

import math
import sys
from pathlib import Path

from recbole_store.comparison import read_results

MARKS = ("<!-- results -->", "<!-- end of results -->")
SHOWN = ("Recall", "NDCG", "MRR", "Hit", "Precision")


def standard_error(share: float, n_users: int) -> float:
    """Standard error of a share of users, such as Recall with one target each: sqrt(p(1-p)/n)."""
    return math.sqrt(share * (1 - share) / n_users)


def rows(results: list[dict], committed: list[dict] = ()) -> tuple[list[str], list[list[str]]]:
    """Header and rows, sorted by the valid metric; committed results are marked with ``*``."""
    if not results and not committed:
        return [], []
    metric = (list(results) + list(committed))[0]["valid_metric"].lower()
    cutoff = metric.partition("@")[2]
    suffix = f"@{cutoff}" if cutoff else ""
    every = [(result, "") for result in results] + [(result, "*") for result in committed]
    smaller_is_better = metric in ("rmse", "mae", "logloss")  # as RecBole has it
    every.sort(key=lambda pair: pair[0]["valid"].get(metric, 0.0), reverse=not smaller_is_better)
    names = [n for n in SHOWN if any(f"{n.lower()}{suffix}" in r["test"] for r, _ in every)]
    if not names:  # value metrics such as AUC have no cut-off
        names, suffix = sorted({key for r, _ in every for key in r["test"]}), ""
    header = ["model", f"valid {metric}", *(f"{name}{suffix}" for name in names)]
    header += ["epochs", "fit", "s/epoch", "test eval", "trained par."]
    return header, [_row(result, mark, metric, names, suffix) for result, mark in every]


def _row(result: dict, mark: str, metric: str, names: list[str], suffix: str) -> list[str]:
    cells = [result["model"] + mark, _number(result["valid"].get(metric))]
    for name in names:
        value = result["test"].get(f"{name.lower()}{suffix}")
        cell = _number(value)
        if name == "Recall" and value is not None:
            cell += f" ±{standard_error(value, result['protocol']['n_test']):.4f}"
        cells.append(cell)
    times = result["times"]
    cells += [
        str(times["epochs"]),
        _duration(times["fit_s"]),
        "-" if times["epoch_s"] is None else f"{times['epoch_s']:.1f}",
        _duration(times["test_s"]),
        _count(result["sizes"]["trained_parameters"]),
    ]
    return cells


def as_text(header: list[str], body: list[list[str]]) -> str:
    """The table for a console, columns aligned."""
    if not body:
        return "No results."
    widths = [max(len(row[i]) for row in [header, *body]) for i in range(len(header))]
    lines = []
    for row in [header, ["-" * width for width in widths], *body]:
        first, *rest = (
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join([first, *rest]))
    return "\n".join(lines)


def as_markdown(header: list[str], body: list[list[str]]) -> str:
    """The table for README."""
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds / 60:.1f} min"


def _count(number: int) -> str:
    for unit, size in (("M", 10**6), ("k", 10**3)):
        if number >= size:
            return f"{number / size:.1f}{unit}"
    return str(number)


def write_readme_table(results: list[dict], readme: Path) -> None:
    """Put the table of committed results between README's two ``results`` marks."""
    text = readme.read_text(encoding="utf-8")
    before, start, rest = text.partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if not start or not end:
        raise ValueError(f"{readme} has no {MARKS[0]} ... {MARKS[1]}.")
    table = as_markdown(*rows(results))
    readme.write_text(f"{before}{start}\n{table}\n{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    write_readme_table(read_results(Path(sys.argv[1])), Path(sys.argv[2]))
