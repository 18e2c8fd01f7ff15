"""The folder: complete, small, checked when read, and whole whatever the settings were."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from planted_store import working_in

from recbole_store import load
from recbole_store.errors import BackboneError, ModelFolderError, RequestError
from recbole_store.experiments.run.run import run_model
from recbole_store.model import large_catalogue
from recbole_store.recommender.folder import size_of
from recbole_store.settings.defaults import plugin_defaults


@pytest.fixture
def folder(finished, tmp_path):
    """A copy of STORE's, to be damaged."""
    return shutil.copytree(finished("STORE").folder, tmp_path / "model")


def change_config(folder, **changes) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_files_and_what_config_says(finished, planted):
    run = finished("STORE")
    names = sorted(p.relative_to(run.folder).as_posix() for p in run.folder.rglob("*"))
    assert names == [
        "README.md",
        "config.json",
        "items.parquet",
        "model.safetensors",
        "tokenizer",
        "tokenizer/tokenizer.safetensors",
    ]
    text = (run.folder / "config.json").read_text()
    config = json.loads(text)
    assert str(planted) not in text  # where the data lie is the machine's own affair
    assert config["model"] == "STORE" and config["settings"]["num_beams"] == 10
    assert config["data"]["files"] == run.result["data_sha256"]
    assert config["metrics"]["unfiltered"] == dict(run.result["tests"]["unfiltered"])
    assert config["models"]["backbone"]["sha256"] == run.result["model_sha256"]["backbone"]


def test_weights_take_little_more_than_what_was_trained(finished):
    run = finished("STORE")
    config = json.loads((run.folder / "config.json").read_text())
    weights = (run.folder / "model.safetensors").stat().st_size
    codebooks = (run.folder / "tokenizer" / "tokenizer.safetensors").stat().st_size
    headers = 16_000
    assert weights < 4 * config["trained_numbers"] + headers
    assert codebooks < 300_000
    assert size_of(run.folder) < 1_000_000


def test_the_card_says_what_it_is(finished):
    run = finished("STORE")
    card = (run.folder / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: recbole-store\n")
    assert "# STORE on planted" in card and "from recbole_store import load" in card
    for found in run.result["tests"].values():
        assert f"{found['ndcg@10']:.4f}" in card
    assert "recbole-store --model=STORE --dataset=planted --seed=2020" in card
    assert run.result["data_sha256"]["planted.inter"] in card


@pytest.mark.parametrize(
    "name", ["model.safetensors", "items.parquet", "tokenizer/tokenizer.safetensors"]
)
def test_a_flipped_byte_is_found(folder, name):
    path = folder / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelFolderError, match=f"{name} is damaged"):
        load(folder)


def test_a_missing_file_is_named(folder):
    (folder / "items.parquet").unlink()
    with pytest.raises(ModelFolderError, match="items.parquet cannot be read"):
        load(folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', '{"format": 1, "files": 3}'])
def test_a_damaged_config_is_told(folder, text):
    (folder / "config.json").write_text(text)
    with pytest.raises(ModelFolderError, match="damaged|no model's"):
        load(folder)


def test_another_format_and_another_folder_are_told(folder, tmp_path):
    change_config(folder, format=99)
    with pytest.raises(ModelFolderError, match="format 99"):
        load(folder)
    with pytest.raises(ModelFolderError, match="is no model, it has no config.json: a run leaves"):
        load(tmp_path / "nowhere")
    run = folder.parent / "run"
    run.mkdir()
    folder.rename(run / "model")
    with pytest.raises(ModelFolderError, match="did you mean .*run/model[?]"):
        load(run)


def test_a_setting_that_is_not_there_is_told(folder):
    config = json.loads((folder / "config.json").read_text())
    del config["settings"]["backbone_layers"]
    change_config(folder, settings=config["settings"])
    with pytest.raises(ModelFolderError, match="no setting `backbone_layers`"):
        load(folder)


def test_files_outside_are_not_read(folder):
    change_config(folder, files={"../secret": "0"})
    with pytest.raises(ModelFolderError, match="outside"):
        load(folder)


def test_another_llm_is_refused(folder, tiny_llm, tmp_path):
    other = shutil.copytree(tiny_llm, tmp_path / "other")
    (other / "config.json").write_text((other / "config.json").read_text() + " ")
    settings = json.loads((folder / "config.json").read_text())
    settings["models"]["backbone"]["name"] = str(other)
    change_config(folder, models=settings["models"])
    with pytest.raises(BackboneError, match="another `backbone`"):
        load(folder)


def test_saving_replaces_a_model_and_nothing_else(folder, tmp_path):
    store = load(folder, device="cpu")
    store.add_items([{"item_id": "new", "colour": "red", "shape": "star"}])
    store.save(folder)
    assert len(load(folder, device="cpu")) == 61
    assert [path.name for path in tmp_path.iterdir()] == ["model"]  # nothing is left beside it
    other = tmp_path / "other"
    other.mkdir()
    (other / "letters.txt").write_text("mine")
    with pytest.raises(ModelFolderError, match="holds other things"):
        store.save(other)
    assert (other / "letters.txt").read_text() == "mine"


KINDS = {
    "lora": {"tuning": "lora", "reconstruct_weight": 0.1},
    "frozen": {"tuning": "frozen", "item_head_weight": 1.0, "last_item_weight": 0.5},
    "tower": {
        "tokenizer": "tower",
        "item_head_weight": 1.0,
        "item_vector_size": 16,
        "text_head_weight": 1.0,
        "together_weight": 0.5,
        "likeness_weight": 0.5,
    },
    "rqvae": {"tokenizer": "rqvae", "rqvae_epochs": 5, "cosine_weight": 0.1},
    "large": {"item_head_weight": 1.0, "full_softmax_limit": 20},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_store_is_whole(
    kind, tiny_llm, tiny_settings, tmp_path, planted, monkeypatch
):
    """Lists as the run's test had them; new codes and explanations as those of a copy."""
    monkeypatch.setattr(large_catalogue, "OWN_ROWS", 24)  # hashed, beyond the limit
    settings = {**plugin_defaults("STORE", "planted", planted), **tiny_settings}
    settings |= {"epochs": 1, "tokenizer_epochs": 1, "text_encoder": str(tiny_llm), **KINDS[kind]}
    with working_in(tmp_path):
        run_model("STORE", "planted", settings, tmp_path / "run")
    store = load(tmp_path / "run" / "model", device="cpu")
    histories = [["i000", "i001"], ["i002"], ["i030", "i031", "i032"]]
    rows = [{"item_id": "new", "colour": "red", "shape": "star"}]
    with np.load(tmp_path / "run" / "ranked.npz") as kept:
        arrays = dict(kept)
    users, lists = arrays["users"].tolist(), arrays["items_unfiltered"]
    sequences = _sequences(planted)
    frame = store.recommend([sequences[user][:-1] for user in users], k=10, exclude_seen=False)
    expected = arrays["raw_ids"][lists].reshape(-1)
    assert (frame["item_id"].to_numpy() == expected).mean() > 0.999
    store.add_items(rows)
    again = load(store.save(tmp_path / "copy"), device="cpu")
    pd.testing.assert_frame_equal(store.recommend(histories), again.recommend(histories))
    for one in (store, again):
        one.add_items([{"item_id": "next", "colour": "blue", "shape": "moon"}])
    assert store.codes(62) == again.codes(62)
    explained = [one.explain("i003", items=["i000", "new"]).as_dict() for one in (store, again)]
    assert json.dumps(explained[0]) == json.dumps(explained[1])


def _sequences(planted) -> dict[str, list[str]]:
    rows = pd.read_csv(planted / "planted" / "planted.inter", sep="\t")
    return rows.groupby("user_id:token")["item_id:token"].agg(list).to_dict()


def test_bf16_rounds_scores(folder):
    """By a few hundredths of a log-probability: items of near scores may change places."""
    exact = load(folder, device="cpu", precision="fp32")
    rounded = load(folder, device="cpu", precision="bf16")
    assert rounded.model.eval_bf16 and not exact.model.eval_bf16
    one, other = (
        store.recommend(items=["i000", "i001"], k=60).set_index("item_id")["score"]
        for store in (exact, rounded)
    )
    difference = (one - other[one.index]).abs()
    assert 0 < difference.max() < 0.3 and difference.median() < 0.05
    with pytest.raises(RequestError, match="must be one of fp32, bf16, auto"):
        load(folder, precision="fp8")


def test_a_run_whose_model_cannot_be_written_keeps_its_result(
    tiny_settings, planted, tmp_path, capsys
):
    settings = {**plugin_defaults("Neighbours", "planted", planted)}
    keys = ("data_path", "load_col", "item_text", "MAX_ITEM_LIST_LENGTH", "topk", "gpu_id")
    settings |= {key: tiny_settings[key] for key in keys}
    other = tmp_path / "run" / "model"
    other.mkdir(parents=True)
    (other / "mine.txt").write_text("mine")
    with working_in(tmp_path):
        result = run_model("Neighbours", "planted", settings, tmp_path / "run")
    assert result["test"] and (tmp_path / "run" / "result.json").is_file()
    assert "holds other things" in capsys.readouterr().out
