"""The commands of a finished model: what they print and write, and what they refuse."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys

import duckdb
import pandas as pd
import pytest
from planted_data import planted_items

from recbole_store import cli, load

TEXT_OF = {name: f"{colour} {shape}" for name, colour, shape in planted_items()}


@pytest.fixture(scope="module")
def folder(finished):
    return finished("STORE").folder


@pytest.fixture(scope="module")
def store(folder):
    return load(folder, device="cpu")


@pytest.fixture
def run(capsys):
    """``run(*words)`` -> status, output and errors."""

    def run(*words) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            status = cli.main([str(word) for word in words])
        except SystemExit as stop:
            status = stop.code
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def refused(found) -> str:
    status, out, error = found
    assert status == 2 and not out, found
    assert error.startswith("error: ") and error.count("\n") == 1
    return error


HISTORIES = {"u1": ["i000", "i001", "i002"], "u2": ["i005"], "u3": ["i007", "unknown", "i008"]}


def test_one_history_is_printed(run, folder, store):
    status, out, _ = run("recommend", folder, "--items", "i000,i001", "-k", 3)
    frame = store.recommend(items=["i000", "i001"], k=3)
    assert status == 0
    assert [line.split()[1] for line in out.splitlines()] == frame["item_id"].tolist()
    assert TEXT_OF[frame["item_id"][0]] in out and f"{frame['score'][0]:.4f}" in out


def write_table(path, layout: str):
    """The histories as a row an interaction, or a row a history."""
    if layout == "rows":
        rows = [{"user_id": u, "item_id": i} for u, items in HISTORIES.items() for i in items]
    else:
        rows = [{"user_id": user, "items": items} for user, items in HISTORIES.items()]
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".csv":
        frame = pd.DataFrame(rows)
        if layout == "lists":
            frame["items"] = frame["items"].map(" ".join)
        frame.to_csv(path, index=False)
    else:
        frame = pd.DataFrame(rows)
        with duckdb.connect() as connection:
            connection.register("frame", frame)
            connection.execute(f"COPY frame TO '{path}' (FORMAT parquet)")
    return path


def read_table(path) -> list[tuple]:
    """(user, rank, item, title, score, codes) of a written table."""
    if path.suffix == ".csv":
        with path.open() as lines:
            rows = list(csv.DictReader(lines))
        codes = [tuple(map(int, row["semantic_id"].split())) for row in rows]
    elif path.suffix == ".jsonl":
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        codes = [tuple(row["semantic_id"]) for row in rows]
    else:
        with duckdb.connect() as connection:
            rows = connection.execute(f"SELECT * FROM '{path}'").df().to_dict("records")
        codes = [tuple(row["semantic_id"]) for row in rows]
    return [
        (row["user_id"], int(row["rank"]), row["item_id"], row["title"], float(row["score"]), ids)
        for row, ids in zip(rows, codes, strict=True)
    ]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("layout", ["rows", "lists"])
def test_many_histories_out_of_a_file(run, folder, store, tmp_path, suffix, layout):
    given, out = write_table(tmp_path / f"in.{suffix}", layout), tmp_path / f"out.{suffix}"
    status, said, error = run("recommend", folder, "--histories", given, "--out", out, "-k", 4)
    assert status == 0, error
    assert said == f"{out}: lists of 3 histories; 1 items of histories are unknown.\n"
    frame = store.recommend(list(HISTORIES.values()), users=list(HISTORIES), k=4, unknown="skip")
    expected = frame[["user_id", "rank", "item_id", "title", "score", "semantic_id"]]
    found = read_table(out)
    assert len(found) == 12
    for row, (*plain, score, codes) in zip(found, expected.itertuples(index=False), strict=True):
        assert row[:4] == tuple(plain) and row[5] == codes
        assert row[4] == pytest.approx(score, rel=1e-4)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([given.name, out.name])


def test_batches_do_not_change_lists(run, folder, tmp_path, monkeypatch):
    from recbole_store.recommender import ranking

    given = write_table(tmp_path / "in.csv", "rows")
    for name, most in (("whole", 4096), ("parts", 2)):
        monkeypatch.setattr(ranking, "MAX_AT_ONCE", most)
        run("recommend", folder, "--histories", given, "--out", tmp_path / f"{name}.csv")
    whole, parts = (read_table(tmp_path / f"{name}.csv") for name in ("whole", "parts"))
    assert [(row[:4], row[5]) for row in whole] == [(row[:4], row[5]) for row in parts]
    assert [row[4] for row in whole] == pytest.approx([row[4] for row in parts], rel=1e-4)


def test_a_user_of_a_data_set(run, folder, store, planted):
    rows = pd.read_csv(planted / "planted" / "planted.inter", sep="\t")
    items = rows[rows["user_id:token"] == "u7"]["item_id:token"].tolist()
    words = ("--user", "u7", "--dataset", "planted", "--data_path", planted, "--include_seen")
    status, out, _ = run("recommend", folder, *words)
    expected = store.recommend(items=items, exclude_seen=False)["item_id"].tolist()
    assert status == 0
    assert [line.split()[1] for line in out.splitlines()] == expected
    assert "no user 'nope'" in refused(
        run("recommend", folder, "--user", "nope", "--dataset", "planted", "--data_path", planted)
    )


def test_only_some_items(run, folder, tmp_path):
    (tmp_path / "some.txt").write_text("i010\ni011\n\n")
    (tmp_path / "some.csv").write_text("item_id,x\ni010,1\ni011,2\n")
    for name in ("some.txt", "some.csv"):
        _, out, _ = run("recommend", folder, "--items", "i000", "--only", tmp_path / name)
        assert {line.split()[1] for line in out.splitlines()} == {"i010", "i011"}


def test_bad_requests_are_one_sentence(run, folder, tmp_path):
    assert "no item 'nope'" in refused(run("recommend", folder, "--items", "nope"))
    assert "is no model" in refused(run("recommend", tmp_path, "--items", "i000"))
    assert "go together" in refused(run("recommend", folder, "--histories", "x.csv"))
    given = tmp_path / "in.csv"
    out = ("--out", tmp_path / "out.csv")
    assert "no file" in refused(run("recommend", folder, "--histories", given, *out))
    given.write_text("a,b\n1,2\n")
    assert "no columns `user_id`" in refused(run("recommend", folder, "--histories", given, *out))
    given.write_text("user_id,item_id\nu1,i000\nu2,i000\nu1,i001\n")
    assert "line 4: user_id u1 comes again" in refused(
        run("recommend", folder, "--histories", given, *out)
    )
    given.write_text("user_id,item_id\nu1,i000,7\n")
    assert "line 2: 3 fields" in refused(run("recommend", folder, "--histories", given, *out))
    assert "ending" in refused(run("recommend", folder, "--histories", given, "--out", "x.doc"))
    assert not (tmp_path / "out.csv").exists()


def test_similar_and_explain(run, folder, store):
    status, out, _ = run("similar", folder, "--item", "i000", "-k", 4)
    assert status == 0
    assert [line.split()[1] for line in out.splitlines()] == store.similar("i000", k=4)[
        "item_id"
    ].tolist()
    status, out, _ = run("explain", folder, "--item", "i000", "--items", "i001,i002")
    assert status == 0
    assert TEXT_OF["i000"] in out and "by codes" in out and "level 0: code" in out
    assert "the codes so far read: " in out and "i002" in out
    status, out, _ = run("explain", folder, "--item", "i000", "--json")
    assert json.loads(out)["item_id"] == "i000" and json.loads(out)["score"] is None


ITEMS = [
    {"item_id": "new1", "colour": "red", "shape": "star"},
    {"item_id": "new2", "colour": "blue", "shape": "moon"},
]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_add_items(run, folder, store, tmp_path, suffix):
    given, out = tmp_path / f"items.{suffix}", tmp_path / "grown"
    if suffix == "csv":
        pd.DataFrame(ITEMS).assign(price=3).to_csv(given, index=False)
    elif suffix == "jsonl":
        given.write_text("".join(json.dumps(row) + "\n" for row in ITEMS))
    else:
        frame = pd.DataFrame(ITEMS)
        with duckdb.connect() as connection:
            connection.register("frame", frame)
            connection.execute(f"COPY frame TO '{given}' (FORMAT parquet)")
    status, said, error = run("add-items", folder, given, "--out", out)
    assert (status, said) == (0, f"{out}: 2 new items; 62 in all.\n"), error
    grown = load(out, device="cpu")
    assert grown.catalogue.raw_ids[-2:] == ["new1", "new2"]
    assert [grown.codes(item) for item in range(61)] == [store.codes(item) for item in range(61)]
    before = (out / "config.json").read_text()
    status, said, _ = run("add-items", out, given)
    assert said == f"{out}: 0 new items, 2 that it had already; 62 in all.\n"
    assert (out / "config.json").read_text() == before
    assert len(load(folder, device="cpu")) == 60  # the first folder stays as it was


def test_a_bad_row_is_named_by_its_line_and_nothing_is_written(run, folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "model")
    before = {path.name: path.stat().st_mtime_ns for path in copy.iterdir()}
    given = tmp_path / "items.csv"
    given.write_text("item_id,colour,shape\nnew1,red,star\n,blue,moon\n")
    assert "items.csv, line 3: no `item_id`" in refused(run("add-items", copy, given))
    given.write_text("item_id,colour\nnew1,red\n")
    assert "no column `shape`" in refused(run("add-items", copy, given))
    rows = "".join(f"n{n},red,star\n" for n in range(20))
    given.write_text("item_id,colour,shape\n" + rows)
    assert "find no free code" in refused(run("add-items", copy, given))
    assert {path.name: path.stat().st_mtime_ns for path in copy.iterdir()} == before


def test_help_answers_without_torch():
    """Nor does a wrong argument wait for it."""
    code = (
        "import sys; sys.argv = ['recbole-store', {!r}, *{!r}]\n"
        "import run_recbole_store\n"
        "try: run_recbole_store.main(sys.argv[1:])\n"
        "except SystemExit as stop: print('status', stop.code, 'torch' in sys.modules)\n"
    )
    for command in ("recommend", "add-items", "similar", "explain"):
        script = code.format(command, ["--help"])
        out = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        ).stdout
        assert out.startswith("usage: recbole-store ") and out.endswith("status 0 False\n")
