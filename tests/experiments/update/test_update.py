"""Training goes on: known items stay who they are, new ones join, and the model is no worse."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from planted_data import next_planted, planted_items
from planted_store import store_settings, working_in
from planted_tiger import tiger_settings
from scipy import sparse

from recbole_store import cli, load
from recbole_store.experiments.run.run import run_model
from recbole_store.experiments.update.numbering import renumbered
from recbole_store.settings.defaults import plugin_defaults

NEW = ("red", "star")
NAME_OF = {(colour, shape): name for name, colour, shape in planted_items()}


@pytest.fixture(scope="session")
def early(planted, tmp_path_factory):
    """The planted data as they were: without the last users' interactions, nor an item."""
    data_path = tmp_path_factory.mktemp("early")
    folder = data_path / "planted"
    folder.mkdir()
    for name in ("planted.inter", "planted.item"):
        lines = (planted / "planted" / name).read_text().splitlines()
        rows = [row for row in lines if NAME_OF[NEW] not in row.split("\t")]
        if name == "planted.inter":
            rows = [rows[0], *(row for row in rows[1:] if int(row.split("\t")[0][1:]) < 150)]
        (folder / name).write_text("\n".join(rows) + "\n")
    return data_path


def settings_of(name: str, tiny_llm, early) -> dict:
    if name == "STORE":
        return store_settings(
            tiny_llm,
            early,
            epochs=6,
            stopping_step=20,
            item_head_weight=1.0,
            item_input=True,
            item_vector_size=16,
            together_weight=0.1,
            learning_rate=0.005,
            code_learning_rate=0.01,
            tokenizer_epochs=3,
            collaborative_start=0.5,
        )
    settings = tiger_settings(early, epochs=3, stopping_step=20)
    if name == "TIGER":
        return settings | {"tokenizer": "rqkmeans", "text_encoder": str(tiny_llm), "pca_dim": 16}
    keys = ("data_path", "load_col", "item_text", "MAX_ITEM_LIST_LENGTH", "topk", "valid_metric")
    settings = {key: settings[key] for key in (*keys, "show_progress", "gpu_id")}
    if name == "SASRecAll":
        settings |= {"hidden_size": 32, "inner_size": 64, "hidden_dropout_prob": 0.1, "epochs": 8}
    return settings


@pytest.mark.parametrize("name", ["STORE", "TIGER", "SASRecAll", "Neighbours"])
def test_update(name, tiny_llm, early, planted, tmp_path, capsys):
    settings = {**plugin_defaults(name, "planted", early), **settings_of(name, tiny_llm, early)}
    with working_in(tmp_path):
        run_model(name, "planted", settings, tmp_path / "run")
        folder, out = tmp_path / "run" / "model", tmp_path / "updated"
        before = load(folder, device="cpu")
        assert NAME_OF[NEW] not in before.catalogue.item_ids
        capsys.readouterr()
        words = ["update", folder, "--dataset", "planted", "--data_path", planted, "--out", out]
        words += ["--epochs", 3, "--device", "cpu"]
        assert cli.main([str(word) for word in words]) == 0
    said = capsys.readouterr().out
    assert f"{out}: 1 new items" in said
    after = load(out, device="cpu")
    assert after.catalogue.raw_ids[:-1] == before.catalogue.raw_ids
    known = range(len(before) + 1)
    assert [after.codes(item) for item in known] == [before.codes(item) for item in known]
    counts = pd.Series(after.catalogue.counts, after.catalogue.raw_ids)
    assert counts.sum() > 1.7 * before.catalogue.counts.sum() and counts[NAME_OF[NEW]] > 0
    history = [NAME_OF[("red", "circle")], NAME_OF[("red", "square")]]
    assert next_planted("red", "square") == NEW
    assert NAME_OF[NEW] in after.recommend(items=history, k=6)["item_id"].tolist()
    assert len(load(folder, device="cpu")) == len(before)  # the first one stays as it was
    shown = {line.split()[0]: line.split()[1::2] for line in said.splitlines() if "->" in line}
    old, new = map(float, shown["ndcg@10"])
    assert new >= old - 0.02 and new > {"TIGER": 0.4}.get(name, 0.55)


def test_renumbered():
    matrix = sparse.csr_matrix(np.array([[0, 0, 0], [0, 5, 1], [0, 1, 0]], dtype=np.float32))
    found = renumbered(matrix, np.array([0, 3, 1]), 4).toarray()
    expected = np.zeros((4, 4))
    expected[3, 3], expected[3, 1], expected[1, 3] = 5, 1, 1
    assert (found == expected).all() and found.dtype == np.float32
