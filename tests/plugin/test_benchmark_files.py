"""Histories of benchmark files hold the items that their author meant, the latest of them."""

from __future__ import annotations

import pytest
from pristine import pristine
from recbole.data.dataset import Dataset

from recbole_store.errors import SettingsError
from recbole_store.experiments.run.build import build, split
from recbole_store.experiments.run.run import run_model
from recbole_store.settings.resolve import resolve

HEADER = "user_id:token\titem_id_list:token_seq\ttime_list:float_seq\titem_id:token"
ITEMS = [f"i{n}" for n in range(12)]
MODELS = ("STORE", "TIGER", "SASRecAll", "SASRec", "GRU4Rec")


def row(user: int, n: int) -> str:
    """A user's target i(n), behind a history i(n-1), i(n-2), ... that is the longer the later."""
    history = [ITEMS[(n - 1 - k) % 12] for k in range(2 + n % 7)]
    times = " ".join(str(len(history) - k) for k in range(len(history)))
    return f"u{user}\t{' '.join(history)}\t{times}\t{ITEMS[n % 12]}"


@pytest.fixture
def bench(tmp_path):
    """``bench(**settings)`` -> (typed properties, data_path) of a data set of benchmark files."""

    def write(header=HEADER, more=()):
        folder = tmp_path / "data" / "bench"
        folder.mkdir(parents=True)
        for part, users in (("train", range(12)), ("valid", range(6)), ("test", range(6))):
            rows = [row(user, user + n) for user in users for n in range(3)]
            rows += more if part == "train" else []
            if header != HEADER:
                rows = ["\t".join(r.split("\t")[::3]) for r in rows]
            (folder / f"bench.{part}.inter").write_text("\n".join([header, *rows]) + "\n")
        lines = ["item_id:token\ttitle:token_seq", *(f"{item}\ttitle {item}" for item in ITEMS)]
        (folder / "bench.item").write_text("\n".join(lines) + "\n")
        return tmp_path / "data"

    return write


def settings_of(model: str, data_path, tiny_llm, **more) -> dict:
    typed = {
        "data_path": str(data_path),
        "benchmark_filename": "[train, valid, test]",
        "topk": "[1, 5]",
        "valid_metric": "NDCG@5",
        **more,
    }
    if model in ("STORE", "TIGER"):
        typed |= {"codebook_size": "4", "num_beams": "5"}
    if model == "STORE":
        typed |= {"backbone": str(tiny_llm), "tokenizer_epochs": "1", "epochs": "1"}
    if model == "TIGER":
        typed |= {"text_encoder": str(tiny_llm), "tokenizer": "rqkmeans", "epochs": "1"}
    return {**resolve(model, "bench", [], typed), "gpu_id": "", "show_progress": False, "epochs": 1}


def histories(dataset) -> list[tuple[list[str], str]]:
    """(history, target) of each row, as the files have them."""
    ids, inter = dataset.field2id_token["item_id"], dataset.inter_feat
    return [
        ([str(ids[i]) for i in items if i], str(ids[target]))
        for items, target in zip(
            inter["item_id_list"].tolist(), inter["item_id"].tolist(), strict=True
        )
    ]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("longest", [3, 50])
def test_histories_hold_the_latest_items_of_the_files(bench, tiny_llm, model, longest):
    settings = settings_of(model, bench(), tiny_llm, MAX_ITEM_LIST_LENGTH=str(longest))
    config, dataset = build(model, "bench", settings)
    assert dataset.item_num - 1 == 12
    expected = []
    for users in (range(12), range(6), range(6)):
        rows = [row(user, user + n).split("\t") for user in users for n in range(3)]
        expected.append([(items.split(" ")[-longest:], target) for _, items, _, target in rows])
    splits = dataset.build()
    assert [histories(part) for part in splits] == expected
    for part in splits:
        lengths = [len(items) for items, _ in histories(part)]
        assert part.inter_feat["item_length"].tolist() == lengths
        assert part.inter_feat["time_list"].shape == part.inter_feat["item_id_list"].shape
    last = splits[0].inter_feat["time_list"][0].tolist()
    assert last[: lengths[0]] == sorted(last[: lengths[0]], reverse=True), "cut alike"


def test_recbole_alone_numbers_histories_apart(bench, tiny_llm, monkeypatch):
    monkeypatch.setattr(
        Dataset,
        "_load_inter_feat",
        pristine("recbole.data.dataset.dataset").Dataset._load_inter_feat,
    )
    config, dataset = build("SASRec", "bench", settings_of("SASRec", bench(), tiny_llm))
    assert not (dataset.field2id_token["item_id"] == dataset.field2id_token["item_id_list"]).all()


@pytest.mark.parametrize("model", ["STORE", "SASRecAll", "SASRec"])
def test_histories_longer_than_a_model_reads(bench, tiny_llm, tmp_path, monkeypatch, model):
    """Lists of up to eight items and room for two."""
    settings = settings_of(model, bench(), tiny_llm, MAX_ITEM_LIST_LENGTH="2")
    monkeypatch.chdir(tmp_path)
    result = run_model(model, "bench", settings, tmp_path / "run")
    assert 0 <= result["test"]["ndcg@5"] <= 1


def test_a_row_without_a_history(bench, tiny_llm):
    settings = settings_of("SASRec", bench(more=["u0\t\t\ti1"]), tiny_llm)
    with pytest.raises(SettingsError, match="1 rows of the benchmark files of bench have no item"):
        split("SASRec", *build("SASRec", "bench", settings))


def test_no_histories_at_all(bench, tiny_llm):
    data_path = bench(header="user_id:token\titem_id:token")
    with pytest.raises(SettingsError, match="have no column `item_id_list:token_seq`"):
        build("SASRec", "bench", settings_of("SASRec", data_path, tiny_llm))
    build("BPR", "bench", settings_of("BPR", data_path, tiny_llm))
