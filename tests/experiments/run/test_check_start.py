"""What a comparison finds out before it trains anything, and a reader's own data."""

import pytest

from recbole_store.errors import SettingsError
from recbole_store.experiments.run.build import check_start
from recbole_store.settings.profile import Profile
from recbole_store.settings.resolve import resolve


def test_a_profile_is_for_store_and_leaves_baselines_their_settings():
    profile = Profile.of_file("full")
    store = resolve("STORE", "ml-100k", [], {}, ["STORE", "SASRec"], profile)
    sasrec = resolve("SASRec", "ml-100k", [], {}, ["STORE", "SASRec"], profile)
    assert store["backbone_layers"] is None and store["learning_rate"] == 1e-4
    assert "learning_rate" not in sasrec and "epochs" not in sasrec
    assert sasrec["MAX_ITEM_LIST_LENGTH"] == store["MAX_ITEM_LIST_LENGTH"] == 20


@pytest.mark.parametrize("valid_metric", ["NDCG", "NDCG@3", "AUC@10"])
def test_a_valid_metric_needs_its_own_kind_of_cut_off(valid_metric):
    with pytest.raises(SettingsError, match="will not be computed"):
        resolve("STORE", "ml-100k", [], {"valid_metric": valid_metric, "metrics": "[NDCG]"})


@pytest.fixture
def own_data(write_dataset, tiny_llm) -> dict[str, str]:
    """Typed settings for a dataset without a property file: its files and its text column."""
    rows = [(f"u{u}", f"i{(u + t) % 7}", 1_600_000_000 + t) for u in range(9) for t in range(6)]
    items = ["item_id:token\ttitle:token_seq", *(f"i{i}\tred circle {i}" for i in range(7))]
    data_path = write_dataset("own", rows, items)
    return {
        "data_path": str(data_path),
        "item_text": '{title: "{}"}',
        "backbone": str(tiny_llm),
        "backbone_layers": "2",
        "codebook_size": "4",
    }


def test_own_data_start_without_a_property_file(own_data):
    check_start("STORE", "own", resolve("STORE", "own", [], own_data))


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("backbone_layers", "3", "backbone_layers"),
        ("eval_args", "{split: {XX: 1}}", "XX"),
        ("TIME_FIELD", "when", "when"),
    ],
)
def test_what_cannot_start_is_known_before_any_training(own_data, key, value, says):
    with pytest.raises(ValueError, match=says):
        check_start("STORE", "own", resolve("STORE", "own", [], {**own_data, key: value}))
