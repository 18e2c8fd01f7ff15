"""Bad input of all other commands: one sentence, exit status 2, nothing left behind.

Those of runs and comparisons are in test_bad_inputs.py.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from planted_runs import write_run
from planted_store import working_in
from test_bad_inputs import DATA, RESUMED, RUNS, error_of

import run_recbole_store
from recbole_store.experiments.results.results_folder import keep
from recbole_store.experiments.run.run import run_model
from recbole_store.settings.resolve import resolve

ITEMS = ["item_id:token\ttitle:token_seq", *(f"i{n}\ttitle {n}" for n in range(9))]


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """Data sets, raw files, results folders and models, whole ones and broken ones."""
    folder = tmp_path_factory.mktemp("world")
    for name in ("good", "no_items", "nothing", "no_header", "commas"):
        (folder / "data" / name).mkdir(parents=True)
        (folder / "data" / name / f"{name}.inter").write_text("\n".join(DATA[name]) + "\n")
        (folder / "data" / name / f"{name}.item").write_text("\n".join(ITEMS) + "\n")
    (folder / "data" / "typo").mkdir()
    shutil.copy(folder / "data/good/good.inter", folder / "data/typo/typo.inter")
    (folder / "data/typo/typo.yaml").write_text("epoch: 3\n")
    _write_raw(folder)
    _write_results(folder)
    _write_models(folder)
    return folder


def _write_raw(folder: Path) -> None:
    raw = {
        "bought.csv": "user,item,time\nu1,i1,1\nu1,i2,2\nu2,i1,3\n",
        "empty.csv": "",
        "header.csv": "user,item,time\n",
        "other.csv": "colour,price\nred,3\nblue,4\n",
        "times.csv": "user,item,time\nu1,i1,soon\nu1,i2,later\n",
        "broken.jsonl": '{"user": "u1", "item"\n{"user"',
        "broken.zip": "PK\x03\x04 half of one",
        "broken.parquet": "PAR1 half of one",
        "text.bin": "\x00\x01\x02",
        "list.yaml": "- 1\n",
        "histories.csv": "user_id,items\nu1,i1 i2\n",
        "no_ids.csv": "colour\nred\n",
        "new.jsonl": '{"item_id": "new", "title": "title 3"}\n',
        "textless.jsonl": '{"item_id": "new"}\n',
        "half.jsonl": '{"item_id": "new", "title',
    }
    (folder / "raw").mkdir()
    for name, content in raw.items():
        (folder / "raw" / name).write_text(content)


def _write_results(folder: Path) -> None:
    keep(write_run(folder / "run", [1, 3, 0]), folder / "results")
    for name in ("hollow", "broken"):
        (folder / name / "planted").mkdir(parents=True)
    (folder / "broken/planted/Pop-seed2020.json").write_text('{"model": "Pop"}')
    (folder / "unmarked.md").write_text("# No marks\n")


def _write_models(folder: Path) -> None:
    typed = {"data_path": str(folder / "data"), "gpu_id": ""}
    settings = {**resolve("Neighbours", "good", [], typed), "show_progress": False}
    with working_in(folder):
        run_model("Neighbours", "good", settings, folder / "saved")
    whole = folder / "saved" / "model"
    shutil.copytree(whole, folder / "model")
    for name in ("cut", "flipped", "outside", "old", "no_file", "list"):
        shutil.copytree(whole, folder / name)
    config = json.loads((whole / "config.json").read_text())

    def write(name: str, content) -> None:
        (folder / name / "config.json").write_text(json.dumps(content))

    (folder / "cut/config.json").write_text((whole / "config.json").read_text()[:40])
    items = folder / "flipped" / "items.parquet"
    items.write_bytes(items.read_bytes()[:-1] + b"x")
    write("outside", config | {"files": {"../model/items.parquet": "0" * 64}})
    write("old", config | {"format": 0})
    write("list", [config])
    (folder / "no_file" / "items.parquet").unlink()


# W stands for the folder above.
COMMANDS = {
    # which command
    "a mistyped command": ("prepre", "'prepre'", "`prepare`"),
    "another mistyped one": ("recomend W/model", "'recomend'", "`recommend`"),
    "no such command": ("fly", "'fly'"),
    "a mistyped option": ("--modle=Pop", "modle", "model`"),
    "no option": ("-x", "'-x'", "--key=value"),
    "a word of no encoding": ("--dataset=\udcff", "is no UTF-8"),
    "a word with an end": ("--run_dir=a\0b", "is no UTF-8"),
    "more seeds than anybody has": ("--seeds=99999999999", "99999999999", "at most 1000"),
    "seeds beyond the last": (
        "--model=Pop --dataset=good --data_path=W/data --seed=4294967295 --seeds=2",
        "4294967295",
        "lower",
    ),
    # check
    "check: nothing": ("check", "DATASET"),
    "check: no such data set": ("check god --data_path W/data", "`god`", "`good`"),
    "check: no such folder": ("check W/data/nowhere", "nowhere"),
    "check: a path": ("check .. --data_path W/data", ".."),
    "check: no such file": ("check good --data_path W/data --config_files no.yaml", "no.yaml"),
    "check: a list": ("check good --data_path W/data --config_files W/raw/list.yaml", "list.yaml"),
    "check: an unknown option": ("check good --deep", "--deep"),
    # prepare
    "prepare: nothing": ("prepare", "SOURCE"),
    "prepare: no such source": ("prepare tabel", "'tabel'", "table"),
    "prepare: no raw files": ("prepare table --out here/x", "--raw"),
    "prepare: nowhere to": ("prepare table --raw W/raw/bought.csv", "--out"),
    "prepare: no such file": ("prepare table --raw W/raw/no.csv --out here/x", "no.csv"),
    "prepare: an empty file": ("prepare table --raw W/raw/empty.csv --out here/x", "empty.csv"),
    "prepare: a header": ("prepare table --raw W/raw/header.csv --out here/x", "header.csv"),
    "prepare: other columns": ("prepare table --raw W/raw/other.csv --out here/x", "colour"),
    "prepare: no such column": (
        "prepare table --raw W/raw/bought.csv --user buyer --out here/x",
        "buyer",
        "user, item, time",
    ),
    "prepare: times that are none": ("prepare table --raw W/raw/times.csv --out here/x", "time"),
    "prepare: half a line": ("prepare table --raw W/raw/broken.jsonl --out here/x", "broken.jsonl"),
    "prepare: half a zip": ("prepare table --raw W/raw/broken.zip --out here/x", "broken.zip"),
    "prepare: half a table": (
        "prepare table --raw W/raw/broken.parquet --out here/x",
        "broken.parquet",
    ),
    "prepare: another kind": ("prepare table --raw W/raw/text.bin --out here/x", "text.bin"),
    "prepare: a name that leads out": (
        "prepare table --raw W/raw/bought.csv --out here/a,b",
        "a,b",
    ),
    "prepare: over a data set": (
        "prepare table --raw W/raw/bought.csv --k_core=1 --out W/data/good",
        "good",
    ),
    "prepare: filters that leave nothing": (
        "prepare table --raw W/raw/bought.csv --k_core=50 --out here/x",
        "--k_core",
    ),
    "prepare: a wrong number": (
        "prepare table --raw W/raw/bought.csv --k_core=five --out here/x",
        "five",
    ),
    "prepare: files of another source": (
        "prepare movielens --raw W/raw/bought.csv --out here/x",
        "movies.csv",
    ),
    # results and report
    "results: no such folder": ("results nowhere", "nowhere", "run a comparison"),
    "results: nothing in it": ("results W/hollow", "hollow", "no result file"),
    "results: half a result": ("results W/broken", "Pop-seed2020.json"),
    "results: no such readme": ("results W/results --readme no.md", "no.md"),
    "results: a readme without marks": ("results W/results --readme W/unmarked.md", "unmarked.md"),
    "results: an unknown option": ("results --nope", "--nope"),
    "report: no such folder": ("report nowhere", "nowhere"),
    "report: nothing in it": ("report W/hollow", "hollow"),
    "report: nowhere to": ("report W/results --out W/unmarked.md/page.html", "page.html"),
    "report: an unknown option": ("report --nope", "--nope"),
    # a finished model
    "recommend: nothing": ("recommend", "MODEL"),
    "recommend: for nobody": ("recommend W/model", "--items"),
    "recommend: no model": ("recommend W/hollow --items i1", "hollow", "saved/RUN/model"),
    "recommend: a run": ("recommend W/saved --items i1", "saved", "config.json"),
    "recommend: half a model": ("recommend W/cut --items i1", "cut/config.json", "damaged"),
    "recommend: a flipped byte": ("recommend W/flipped --items i1", "items.parquet is damaged"),
    "recommend: a file outside": ("recommend W/outside --items i1", "outside: ../model"),
    "recommend: another format": ("recommend W/old --items i1", "format 0"),
    "recommend: a list": ("recommend W/list --items i1", "list/config.json"),
    "recommend: a file too few": ("recommend W/no_file --items i1", "items.parquet"),
    "recommend: an unknown item": ("recommend W/model --items i1,i99", "i99"),
    "recommend: no item": ("recommend W/model --items ,", "--items"),
    "recommend: none of them": ("recommend W/model --items i1 -k 0", "-k", "'0'"),
    "recommend: half of one": ("recommend W/model --items i1 -k 2.5", "-k", "'2.5'"),
    "recommend: two ways": ("recommend W/model --items i1 --user u1", "--user"),
    "recommend: nowhere to": ("recommend W/model --histories W/raw/histories.csv", "--out"),
    "recommend: another kind of table": (
        "recommend W/model --histories W/raw/histories.csv --out out.xls",
        "out.xls",
    ),
    "recommend: no such histories": ("recommend W/model --histories no.csv --out o.csv", "no.csv"),
    "recommend: no histories in it": (
        "recommend W/model --histories W/raw/no_ids.csv --out o.csv",
        "no_ids.csv",
    ),
    "recommend: no such device": ("recommend W/model --items i1 --device tpu", "tpu"),
    "recommend: no such precision": ("recommend W/model --items i1 --precision fp8", "fp8"),
    "recommend: no such items": ("recommend W/model --items i1 --only no.txt", "no.txt"),
    "recommend: a user of no data": ("recommend W/model --user u1", "--dataset"),
    "similar: to nothing": ("similar W/model", "--item"),
    "similar: to an unknown item": ("similar W/model --item i99", "i99"),
    "explain: nothing": ("explain W/model", "--item"),
    "explain: an unknown item": ("explain W/model --item i99", "i99"),
    "add-items: none": ("add-items W/model", "FILE"),
    "add-items: no such file": ("add-items W/model no.jsonl --out new", "no.jsonl"),
    "add-items: half a line": ("add-items W/model W/raw/half.jsonl --out new", "half.jsonl"),
    "add-items: without text": ("add-items W/model W/raw/textless.jsonl --out new", "title"),
    "add-items: over other things": ("add-items W/model W/raw/new.jsonl --out W/raw", "raw"),
    "export: nowhere to": ("export W/model", "OUT"),
    "export: another format": ("export W/model out --format=onnx", "onnx", "hf"),
    "export: what cannot be": ("export W/model out", "Neighbours"),
    "update: nothing": ("update W/model", "--dataset"),
    "update: no such data": ("update W/model --dataset god --data_path W/data", "god"),
    "update: no epochs": ("update W/model --dataset good --epochs 0", "'0'"),
    "serve: no model": ("serve W/hollow", "hollow"),
    "serve: no port": ("serve W/model --port=http", "'http'"),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_a_bad_command_is_one_sentence(case, world, capsys):
    words, *parts = COMMANDS[case]
    message = error_of(run_recbole_store.main, words.replace("W/", f"{world}/").split(" "), capsys)
    assert all(part in message for part in parts), message


def test_there_are_enough_of_them():
    assert len(RUNS) + len(RESUMED) + len(COMMANDS) >= 230
