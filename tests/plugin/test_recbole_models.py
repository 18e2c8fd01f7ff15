"""RecBole's own models by name, under the protocol that every model of a comparison shares."""

from __future__ import annotations

import random

import numpy as np
import pytest

from recbole_store.errors import SettingsError
from recbole_store.experiments.run.run import run_model
from recbole_store.settings.resolve import resolve

N_ITEMS = 40
BASELINES = ("SASRec", "GRU4Rec", "BERT4Rec", "SASRecF", "BPR", "Pop")


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> tuple:
    """Histories of 5 to 19 films, and genres of these and others: data_path and histories."""
    rng = random.Random(5)
    histories = {
        f"u{user}": [f"i{rng.randrange(N_ITEMS)}" for _ in range(5 + user % 15)]
        for user in range(60)
    }
    folder = tmp_path_factory.mktemp("data") / "films"
    folder.mkdir()
    rows = [
        f"{user}\t{item}\t{step}\n"
        for user, items in histories.items()
        for step, item in enumerate(items)
    ]
    genres = [f"i{item}\tgenre{item % 4}\n" for item in range(N_ITEMS + 5)]
    header = "user_id:token\titem_id:token\ttimestamp:float\n"
    (folder / "films.inter").write_text(header + "".join(rows))
    (folder / "films.item").write_text("item_id:token\tclass:token_seq\n" + "".join(genres))
    return folder.parent, histories


@pytest.mark.parametrize("model", BASELINES)
def test_baselines_run_by_name(films, tmp_path, model):
    data_path, histories = films
    typed = {"data_path": str(data_path), "gpu_id": "", "epochs": "1", "cold_items": "0.2"}
    typed |= {"filter_history": "True", "MAX_ITEM_LIST_LENGTH": "6"}
    settings = {**resolve(model, "films", [], typed), "show_progress": False}
    result = run_model(model, "films", settings, tmp_path / "run")
    with np.load(tmp_path / "run" / "ranked.npz") as lists:
        lists = dict(lists)
    raw = lists["raw_ids"]
    assert set(raw[1:]) == {item for items in histories.values() for item in items}
    known = {item for item, n in zip(raw, lists["item_counts"], strict=True) if n}
    assert sorted(lists["users"]) == sorted(histories)
    for user, target, found in zip(
        lists["users"], lists["targets"], lists["items_filtered"], strict=True
    ):
        had = known & set(histories[user][:-1]) - {histories[user][-1]}
        assert raw[target] == histories[user][-1]
        assert len(set(found[:10])) == 10 and not had & {raw[item] for item in found if item}
    assert result["test"] == result["tests"]["filtered"] != result["tests"]["unfiltered"]
    slices = result["cold"]["metrics"]
    assert slices.keys() == {"warm/before", "warm/after", "cold/full", "cold/only"}
    assert all(0 < slices[of]["recall@20"] <= 1 for of in ("warm/after", "cold/only"))


def test_item_columns_that_recbole_cannot_read(write_dataset, tmp_path):
    rows = [(user, item, step) for user in "abc" for step, item in enumerate("wxyz")]
    data_path = write_dataset(
        "ugly", rows, ["item_id:token\ttitle:token_seq", 'w\t"Quoted" and on']
    )
    typed = {"data_path": str(data_path), "selected_features": "[title]"}
    with pytest.raises(SettingsError, match="`recbole-store check ugly`"):
        run_model("SASRecF", "ugly", resolve("SASRecF", "ugly", [], typed), tmp_path / "run")
