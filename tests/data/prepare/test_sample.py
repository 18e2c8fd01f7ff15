"""dataset/sample: made by its script, small, the answer in its texts; its page can be typed."""

from __future__ import annotations

import csv
import re
import runpy
import shlex
import shutil
from collections import defaultdict
from pathlib import Path

import pytest
from planted_data import ROOT

from recbole_store import cli

SAMPLE = ROOT / "dataset" / "sample"
TABLES = ("products.csv", "purchases.csv")


def rows(name: str) -> list[dict]:
    with open(SAMPLE / name, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_script_makes_the_tables(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["make.py", str(tmp_path)])
    runpy.run_path(str(SAMPLE / "make.py"), run_name="__main__")
    for name in TABLES:
        assert (tmp_path / name).read_bytes() == (SAMPLE / name).read_bytes()


def test_it_is_small_and_some_products_are_new():
    assert sum((SAMPLE / name).stat().st_size for name in TABLES) < 200_000
    products, purchases = map(rows, TABLES)
    assert (len(products), len(purchases)) == (300, 3000)
    assert len({row["sku"] for row in products} - {row["sku"] for row in purchases}) == 10


def test_what_comes_next_is_in_the_texts():
    kinds = runpy.run_path(str(SAMPLE / "make.py"))["KINDS"]
    follows = {
        kind: own[(n + 1) % len(own)] for own in kinds.values() for n, kind in enumerate(own)
    }
    kind_of = {row["sku"]: row["title"].partition(" ")[2] for row in rows("products.csv")}
    histories = defaultdict(list)
    for row in rows("purchases.csv"):
        histories[row["customer"]].append(kind_of[row["sku"]])
    pairs = [pair for own in histories.values() for pair in zip(own, own[1:], strict=False)]
    share = sum(follows[first] == second for first, second in pairs) / len(pairs)
    assert 0.7 < share < 0.85


@pytest.fixture
def block(tmp_path) -> list[list[str]]:
    """The page's commands, in a folder that has the sample where a checkout has it."""
    shutil.copytree(SAMPLE, tmp_path / "dataset" / "sample")
    page = (ROOT / "dataset" / "table.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    (found,) = [text for text in blocks if "dataset/sample" in text]
    lines = [line for line in found.splitlines() if line and not line.startswith("#")]
    return [shlex.split(line.removeprefix("recbole-store ")) for line in lines]


def test_the_page_s_commands_run(block, capfd):
    assert len(block) == 4
    for words in block:
        assert cli.main(words) == 0, words
    said = capfd.readouterr().out
    assert "columns: user `customer`, item `sku`, time `ordered_at`, text `title`, `brand`" in said
    assert "300 of 300 items with text" in said and "Nothing was found that would" in said
    assert "Neighbours is ahead of the most popular items on NDCG@10" in said
    after_a_tent = said[said.rindex("  1  ") :].splitlines()[:5]
    kinds = ("sleeping bag", "camping mat", "gas stove", "lantern")
    assert sum(line.partition("  0.")[0].rstrip().endswith(kinds) for line in after_a_tent) >= 3
    assert Path("saved/shop/model/config.json").is_file()


def test_readme_shows_what_is_printed(tmp_path, capfd):
    shutil.copytree(SAMPLE, tmp_path / "dataset" / "sample")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```\w*\n(.*?)```", readme, re.DOTALL)
    (shown,) = [text for text in blocks if text.startswith("$ recbole-store prepare")]
    _, *steps = shown.split("$ recbole-store ")
    assert len(steps) == 4
    for words, *lines in (step.splitlines() for step in steps):
        assert cli.main(shlex.split(words)) == 0, words
        printed = [line.rstrip() for line in capfd.readouterr().out.splitlines()]
        assert [line for line in lines if line != "..." and line not in printed] == []
