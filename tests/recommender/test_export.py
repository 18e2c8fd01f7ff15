"""STORE for plain transformers: its script gets the scores that the model gives."""

from __future__ import annotations

import runpy
import shutil
import subprocess
import sys

import pytest
import torch
from planted_store import working_in
from transformers import AutoModelForCausalLM, AutoTokenizer

from recbole_store import cli, load
from recbole_store.experiments.run.run import run_model
from recbole_store.model import store as store_module
from recbole_store.settings.defaults import plugin_defaults

HISTORIES = (["i000"], ["i001", "i002", "i003"], [f"i{n:03d}" for n in range(9)])


def compare(folder, out) -> None:
    """Scores of all items that both lists hold; the script ranks without the history's."""
    store = load(folder, device="cpu")
    script = runpy.run_path(str(out / "recommend.py"))["Store"](out)
    for items in HISTORIES:
        expected = store.recommend(items=items, k=5)
        found = script.recommend(items, k=5)
        assert [row[0] for row in found] == expected["item_id"].tolist()
        assert [row[1] for row in found] == expected["title"].tolist()
        assert [row[2] for row in found] == pytest.approx(expected["score"].tolist(), abs=1e-4)


def test_a_tuned_store(finished, tmp_path, capsys):
    run, out = finished("STORE"), tmp_path / "hf"
    capsys.readouterr()
    assert cli.main(["export", str(run.folder), str(out), "--format", "hf"]) == 0
    assert capsys.readouterr().err == "", "no bars"
    compare(run.folder, out)
    llm = AutoModelForCausalLM.from_pretrained(out)
    trained = load(run.folder, device="cpu").model.backbone.llm
    for name, weight in trained.state_dict().items():
        assert torch.equal(weight, llm.state_dict()[name]), name
    assert len(AutoTokenizer.from_pretrained(out)) > 10
    assert "upload_folder" in (out / "README.md").read_text()
    assert cli.main(["export", str(run.folder), str(out)]) == 0  # once more, in its place


def test_the_script_knows_nothing_of_this_package(finished, tmp_path):
    run, out = finished("STORE"), tmp_path / "hf"
    cli.main(["export", str(run.folder), str(out)])
    assert "recbole" not in (out / "recommend.py").read_text()
    words = [sys.executable, str(out / "recommend.py"), "i000", "i001"]
    said = subprocess.run(words, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    found = load(run.folder, device="cpu").recommend(items=["i000", "i001"])
    assert [line.split("\t")[1] for line in said.splitlines()] == found["item_id"].tolist()


KINDS = {
    "lora": {"tuning": "lora"},
    "last item": {"last_item_weight": 2.0, "item_vector_size": 16},
    "text": {
        **{"tokenizer": "tower", "item_vector_size": 16, "text_head_weight": 1.0},
        **{"together_weight": 3.0, "likeness_weight": 2.0, "last_item_weight": 1.0},
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_other_kinds(kind, tiny_llm, tiny_settings, planted, tmp_path):
    settings = {**plugin_defaults("STORE", "planted", planted), **tiny_settings}
    settings |= {"epochs": 1, "tokenizer_epochs": 1, "item_head_weight": 1.0, **KINDS[kind]}
    with working_in(tmp_path):
        run_model("STORE", "planted", settings, tmp_path / "run")
    folder, out = tmp_path / "run" / "model", tmp_path / "hf"
    assert cli.main(["export", str(folder), str(out)]) == 0
    compare(folder, out)
    assert (out / "adapter" / "adapter_config.json").is_file() == (kind == "lora")


@pytest.mark.parametrize("few_items", [0, 3_000])
def test_new_items_are_alike_by_the_states_of_the_llm(
    few_items, tiny_llm, tiny_settings, planted, tmp_path, monkeypatch
):
    """In both, whatever known items' texts are alike by."""
    monkeypatch.setattr(store_module, "FEW_ITEMS", few_items)
    settings = {**plugin_defaults("STORE", "planted", planted), **tiny_settings}
    settings |= {"epochs": 1, "tokenizer_epochs": 1, "item_head_weight": 1.0, **KINDS["text"]}
    with working_in(tmp_path):
        run_model("STORE", "planted", settings | {"likeness_weight": 5.0}, tmp_path / "run")
    store, grown, out = load(tmp_path / "run" / "model", device="cpu"), tmp_path / "grown", tmp_path
    store.add_items([{"item_id": "new1", "colour": "red", "shape": "star"}])
    store.new_item_bias = 3.0
    store.save(grown)
    assert "new1" in load(grown, device="cpu").recommend(items=["i000"], k=5)["item_id"].tolist()
    assert cli.main(["export", str(grown), str(out / "hf")]) == 0
    compare(grown, out / "hf")


def test_new_items_are_exported_with_what_they_gain(finished, tmp_path):
    store, grown, out = load(finished("STORE").folder, device="cpu"), tmp_path / "grown", tmp_path
    store.add_items([{"item_id": "new1", "colour": "red", "shape": "star"}])
    store.save(grown)
    assert cli.main(["export", str(grown), str(out / "plain")]) == 0
    compare(grown, out / "plain")
    store.new_item_bias = 60.0
    store.save(grown)
    assert cli.main(["export", str(grown), str(out / "raised")]) == 0
    compare(grown, out / "raised")
    plain, raised = (
        runpy.run_path(str(out / name / "recommend.py"))["Store"](out / name)
        for name in ("plain", "raised")
    )
    place = [[row[0] for row in s.recommend(["i000"], k=61)].index("new1") for s in (plain, raised)]
    assert place[0] > place[1] == 0


def test_what_cannot_be_exported_is_told(finished, tmp_path, capsys):
    run = finished("SASRecAll")
    assert cli.main(["export", str(run.folder), str(tmp_path / "out")]) == 2
    assert "this is SASRecAll" in capsys.readouterr().err
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.txt").write_text("mine")
    assert cli.main(["export", str(finished("STORE").folder), str(other)]) == 2
    assert "holds other things" in capsys.readouterr().err
    shutil.rmtree(other)
