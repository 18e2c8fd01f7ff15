"""Commands of a finished model that torchrun's processes share: the same output as one's."""

from __future__ import annotations

import itertools
import json
import random

import pytest
from planted_data import COLOURS, SHAPES
from two_processes import rows_of_each, torchrun

from recbole_store import cli
from recbole_store.model import semantic_id_model
from recbole_store.recommender import ranking

DENSE = ("SASRecAll", "Neighbours")  # score every item
AT_ONCE = 16  # histories, so that there are several parts to be shared out
TOLD = f"""
from recbole_store.recommender import ranking
ranking.MAX_AT_ONCE = {AT_ONCE}
"""
OF_DENSE = (
    TOLD
    + """
counted(ranking.Ranker, "_best", lambda batch, *_: len(batch))
"""
)
OF_CODES = (
    TOLD
    + """
from recbole_store.model import semantic_id_model
semantic_id_model.USERS_PER_PREFILL = 8
counted(semantic_id_model.SemanticIdModel, "_search_batch", lambda batch, *_: len(batch))
"""
)
OF_TEXTS = (
    TOLD
    + """
from recbole_store.tokenizer.dense_tokens import DenseTokenizer
counted(DenseTokenizer, "forward", lambda backbone, texts, *_: len(texts))
"""
)


def done_by_two(words, folder, first) -> tuple[str, list[int]]:
    """What two processes said, and how many rows each of them had."""
    status = torchrun(words, folder, first=first).wait(200)
    said = (folder / "said.txt").read_text()
    assert status == 0, said
    return said, rows_of_each(folder)


@pytest.mark.parametrize(
    "name",
    ["STORE", *(pytest.param(n, marks=pytest.mark.slow) for n in ("TIGER", *DENSE))],
)
def test_two_processes_rank_histories_as_one(name, finished, tmp_path, monkeypatch, capsys):
    folder, rng = finished(name).folder, random.Random(5)
    given, n_ranked = tmp_path / "given.jsonl", 0
    with given.open("w") as lines:
        for user in range(100):
            items = [f"i{rng.randrange(60):03d}" for _ in range(rng.randrange(9))]
            n_ranked += bool(items)
            lines.write(json.dumps({"user_id": f"u{user}", "items": [*items, "unknown"]}) + "\n")
    words = ["recommend", folder, "--histories", given, "--device", "cpu", "--out"]
    with monkeypatch.context() as patch:
        patch.setattr(ranking, "MAX_AT_ONCE", AT_ONCE)
        patch.setattr(semantic_id_model, "USERS_PER_PREFILL", 8)
        capsys.readouterr()
        assert cli.main([str(word) for word in [*words, tmp_path / "one.jsonl"]]) == 0
        of_one = capsys.readouterr().out
    first = OF_DENSE if name in DENSE else OF_CODES
    said, rows = done_by_two([*words, tmp_path / "two.jsonl"], tmp_path, first)
    assert (tmp_path / "one.jsonl").read_text() == (tmp_path / "two.jsonl").read_text()
    assert said.count(of_one.replace("one.jsonl", "two.jsonl")) == 1, said
    assert min(rows) > 0.3 * n_ranked and sum(rows) == n_ranked


@pytest.mark.slow
@pytest.mark.parametrize("name", ["STORE", "SASRecAll"])
def test_two_processes_add_items_as_one(name, finished, tmp_path, monkeypatch):
    folder, given = finished(name).folder, tmp_path / "items.csv"
    texts = itertools.islice(itertools.product(COLOURS, COLOURS, SHAPES), 100)
    rows = [f"n{n},{one} {other},{shape}" for n, (one, other, shape) in enumerate(texts)]
    given.write_text("\n".join(["item_id,colour,shape", *rows]) + "\n")
    words = ["add-items", folder, given, "--device", "cpu", "--out"]
    monkeypatch.setenv("RECBOLE_STORE_CACHE", str(tmp_path / "cache_of_one"))
    assert cli.main([str(word) for word in [*words, tmp_path / "one"]]) == 0
    said, shares = done_by_two([*words, tmp_path / "two"], tmp_path, OF_TEXTS)
    assert said.count("100 new items") == 1, said
    for path in (tmp_path / "one").rglob("*"):
        if path.is_file():
            of_two = tmp_path / "two" / path.relative_to(tmp_path / "one")
            assert path.read_bytes() == of_two.read_bytes(), path
    if name == "STORE":
        assert min(shares) > 0 and sum(shares) == len(rows)
    assert not list(tmp_path.glob(".two.*"))


@pytest.mark.slow
def test_what_is_wrong_is_said_once(finished, tmp_path):
    words = ["recommend", finished("Neighbours").folder, "--histories", "no.csv", "--out", "o.csv"]
    assert torchrun(words, tmp_path).wait(100) == 1
    said = (tmp_path / "said.txt").read_text()
    assert said.count("error: ") == 1 and "There is no file no.csv" in said


def test_a_search_says_how_several_processes_share_it(monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert cli.main(["tune", "--model=STORE"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "several that are started alike" in said
    assert cli.main(["similar", "model"]) == 2
    assert "only train, recommend and add-items are shared out" in capsys.readouterr().err
