"""Cold items: what is withheld, from whom, and how recommenders are measured on it."""

from __future__ import annotations

import json
import random
from collections import Counter

import numpy as np
import pytest
import torch
from planted_store import make_model, make_trainer, prepare, store_settings, working_in
from planted_tiger import tiger_settings
from recbole.data import data_preparation
from recbole.data.dataloader import FullSortEvalDataLoader

from recbole_store.errors import NoCodesError, SettingsError
from recbole_store.experiments.run import evaluate_cold, run
from recbole_store.experiments.run.build import build
from recbole_store.experiments.run.evaluate_cold import NearestNeighbours
from recbole_store.experiments.run.new_item_bias import MOST_LOSS, choose_bias, raised
from recbole_store.experiments.run.run import run_model
from recbole_store.model.alignment import Alignment
from recbole_store.plugin.cold_items import histories_without_cold
from recbole_store.settings.resolve import resolve
from recbole_store.tokenizer.quantizers.palette import Palette
from recbole_store.tokenizer.tensor_file import read

N_ITEMS = 40


@pytest.fixture
def histories(write_dataset) -> tuple:
    """data_path and raw user id -> raw item ids in time order."""
    rng = random.Random(5)
    found = {
        f"u{user}": [f"i{rng.randrange(N_ITEMS)}" for _ in range(5 + user % 15)]
        for user in range(60)
    }
    rows = [(u, i, step) for u, items in found.items() for step, i in enumerate(items)]
    return write_dataset("some", rows), found


def load(model, data_path, **typed):
    typed = {"data_path": data_path, "gpu_id": "", "MAX_ITEM_LIST_LENGTH": 4, **typed}
    typed.setdefault("cold_items", 0.2)
    settings = resolve(model, "some", [], {key: str(value) for key, value in typed.items()})
    config, dataset = build(model, "some", settings)
    return config, data_preparation(config, dataset)


def raw_rows(split) -> set[tuple]:
    """(user, history, target) of each row, in raw ids."""
    rows = split.inter_feat
    users = split.id2token("user_id", rows["user_id"])
    targets = split.id2token("item_id", rows["item_id"])
    lists = rows["item_id_list"].tolist()
    return {
        (user, tuple(split.id2token("item_id", [i for i in items if i])), target)
        for user, items, target in zip(users, lists, targets, strict=True)
    }


@pytest.mark.parametrize("max_items", [4, 30])
def test_rows_are_those_of_a_world_without_cold_items(histories, max_items):
    data_path, truth = histories
    _, loaders = load("SASRec", data_path, MAX_ITEM_LIST_LENGTH=max_items)
    train, valid, test = (loader._dataset for loader in loaders)
    cold = set(test.id2token("item_id", test.cold_items))
    targets = {items[-1] for items in truth.values()}
    assert cold < targets and len(cold) == round(0.2 * len(targets))
    expected = [set(), set(), set()]
    for user, items in truth.items():
        for place, target in enumerate(items):
            split = min(max(place - len(items) + 3, 0), 2)
            history = tuple(i for i in items[:place] if i not in cold)[-max_items:]
            if place and history and (split == 2 or target not in cold):
                expected[split].add((user, history, target))
    assert [raw_rows(split) for split in (train, valid, test)] == expected
    lengths = test.inter_feat["item_length"]
    assert torch.equal(lengths, (test.inter_feat["item_id_list"] > 0).sum(1))


def test_other_fields_of_the_history_follow_their_items(histories):
    _, loaders = load("SASRec", histories[0])
    rows = loaders[2]._dataset.inter_feat
    truth = histories[1]
    users = loaders[2]._dataset.id2token("user_id", rows["user_id"])
    names = loaders[2]._dataset.id2token("item_id", rows["item_id_list"].flatten())
    names = np.array(names).reshape(rows["item_id_list"].shape)
    for row, user in enumerate(users):
        for place in range(int(rows["item_length"][row])):
            time = int(rows["timestamp_list"][row, place])
            assert truth[user][time] == names[row, place]


def test_windows_cover_all_warm_targets(histories):
    _, loaders = load("SASRecAll", histories[0])
    train = loaders[0]._dataset
    windows = train[torch.arange(len(train))]
    assert int(windows["item_length"].sum()) == len(train.inter_feat)


def test_general_models_see_the_same_world(histories):
    _, general = load("BPR", histories[0])
    _, sequential = load("SASRec", histories[0])
    for one, other in zip(general[1:], sequential[1:], strict=True):
        ours, theirs = one._dataset, other._dataset
        pairs = [
            set(
                zip(
                    data.id2token("user_id", data.inter_feat["user_id"]),
                    data.id2token("item_id", data.inter_feat["item_id"]),
                    strict=True,
                )
            )
            for data in (ours, theirs)
        ]
        assert pairs[0] == pairs[1]
    cold = set(general[0]._dataset.cold_items.tolist())
    assert cold and not cold & set(general[0]._dataset.inter_feat["item_id"].tolist())


def test_all_models_draw_the_same_where_users_are_short(write_dataset):
    """RecBole tests general models on users of two items, too."""
    rng = random.Random(7)
    rows = [
        (f"u{user}", f"i{rng.randrange(N_ITEMS)}", step)
        for user in range(60)
        for step in range(2 + user % 3)
    ]
    data_path = write_dataset("some", rows)
    draws = [load(model, data_path)[1][0]._dataset.cold_items for model in ("Pop", "SASRec")]
    assert torch.equal(*draws)


def test_the_seed_draws_them(histories):
    draws = [load("Pop", histories[0], seed=seed)[1][0]._dataset.cold_items for seed in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])


def test_validation_does_not_rank_them(histories):
    _, loaders = load("SASRec", histories[0])
    cold = loaders[1]._dataset.cold_items
    interaction, excluded, _, _ = next(iter(loaders[1]))
    assert torch.equal(excluded[1].view(len(interaction), -1)[0], cold)
    assert next(iter(loaders[2]))[1] is None


def test_nor_where_recbole_decides_what_is_hidden(histories):
    _, loaders = load("Pop", histories[0], repeatable=False)
    loader = loaders[1]
    _, plain, _, _ = FullSortEvalDataLoader.collate_fn.__wrapped__(loader, range(8))
    loader.config["filter_history"] = None
    _, excluded, *_ = loader.collate_fn(range(8))
    pairs = {*zip(*(part.tolist() for part in plain), strict=True)}
    pairs |= {(row, item) for row in range(8) for item in loader._dataset.cold_items.tolist()}
    assert len(plain[0]) > 8
    assert {*zip(*(part.tolist() for part in excluded), strict=True)} == pairs


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ({"cold_items": "1e-4"}, "none: raise it"),
        ({"eval_args": "{split: {RS: [8, 1, 1]}}"}, "leave-one-out"),
        ({"cold_items": "1.5"}, "in (0, 1)"),
        ({"eval_args": "{mode: uni100}"}, "whole catalogue"),
    ],
)
def test_what_cannot_be_withheld_is_refused(histories, typed, message):
    with pytest.raises(SettingsError, match=message.replace("(", r"\(").replace(")", r"\)")):
        load("Pop", histories[0], **typed)


SLICES = ["warm/before", "warm/after", "cold/full", "cold/only"]


def cold_run(model, settings, tmp_path) -> dict:
    """Figures of a run's cold items; the test over all users must be what they add up to."""
    result = run_model(model, "planted", settings, tmp_path / model)
    cold, n_test = result["cold"], result["protocol"]["n_test"]
    share = cold["n_users"] / n_test
    for metric, value in result["test"].items():
        if metric.startswith(("recall@", "mrr@", "ndcg@")):
            warm, of_cold = (cold["metrics"][name][metric] for name in ("warm/after", "cold/full"))
            assert value == pytest.approx((1 - share) * warm + share * of_cold, abs=2e-4)
    return cold


@pytest.mark.parametrize("with_head", [False, True])
def test_store_recommends_items_it_never_saw(tiny_llm, planted, tmp_path, with_head):
    head = {"item_head_weight": 1.0, "item_vector_size": 128} if with_head else {}
    settings = store_settings(
        tiny_llm,
        planted,
        **{"cold_items": 0.1, "filter_history": with_head, **head},
        **{"epochs": 12, "learning_rate": 3e-3, "tokenizer_epochs": 4, "codebook_size": 10},
    )
    cold = cold_run("STORE", settings, tmp_path)
    metrics = cold["metrics"]
    assert list(metrics)[:4] == SLICES
    assert {"cold/only/nearest", "warm/after/nearest"} < metrics.keys()
    assert ("cold/full/bias" in metrics) == with_head
    assert ("cold/full/reserved" in metrics) != with_head
    # With the one reserved place of ten alone, the first of the cold items by themselves is found.
    reserved = metrics["cold/full/nearest_reserved"]["recall@10"]
    assert reserved >= metrics["cold/only/nearest"]["recall@1"] > 0
    assert reserved >= metrics["cold/full/nearest"]["recall@10"]
    assert cold["n_items"] == round(0.1 * 60) and 10 < cold["n_users"] < 60
    assert metrics["cold/only"]["recall@10"] == 1.0  # six items
    assert metrics["warm/before"]["recall@10"] > 0.4
    kept = json.loads((tmp_path / "STORE" / "model" / "config.json").read_text())
    assert kept["new_item_bias"] == (cold["bias"] or 0.0)
    assert (cold["bias"] is None) != with_head
    if with_head:  # texts say what follows what, so unseen texts are worth something
        assert metrics["cold/only"]["recall@1"] > 0.3  # chance: 1 in 6
    else:
        assert metrics["cold/full/reserved"]["recall@10"] >= metrics["cold/full"]["recall@10"]


def test_neither_tokenizer_nor_alignment_read_cold_items(tiny_llm, planted, tmp_path, monkeypatch):
    from recbole_store.tokenizer import train_slots

    learnt, fitted = set(), []
    losses, fit = train_slots.tokenizer_losses, Palette.fit

    def spy(tokenizer, backbone, pieces, vocabulary, *rest):
        learnt.update(map(tuple, pieces))
        return losses(tokenizer, backbone, pieces, vocabulary, *rest)

    monkeypatch.setattr(train_slots, "tokenizer_losses", spy)
    monkeypatch.setattr(
        Palette,
        "fit",
        lambda self, dense, seed: fitted.append(len(dense)) or fit(self, dense, seed),
    )
    read, loss = set(), Alignment.loss
    monkeypatch.setattr(
        Alignment, "loss", lambda self, parts, items: read.update(items) or loss(self, parts, items)
    )
    settings = store_settings(
        tiny_llm,
        planted,
        **{"cold_items": 0.1, "filter_history": False, "codebook_size": 8, "align_weight": 0.2},
    )
    cold_run("STORE", settings, tmp_path)
    assert (len(learnt), fitted, len(read)) == (54, [54], 54)


def test_the_tower_s_stage_neither_ranks_nor_fits_cold_items(
    tiny_llm, planted, tmp_path, monkeypatch
):
    from recbole_store.tokenizer import train_tower
    from recbole_store.tokenizer.whitening import Whitening

    left_out, fitted = [], []
    loss, fit = train_tower.tower_loss, Whitening.fit

    def spy(tower, features, items, wanted, candidates_not, *rest):
        left_out.append(candidates_not)
        return loss(tower, features, items, wanted, candidates_not, *rest)

    monkeypatch.setenv("RECBOLE_STORE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(train_tower, "tower_loss", spy)
    monkeypatch.setattr(
        Whitening, "fit", lambda self, states: fitted.append(len(states)) or fit(self, states)
    )
    tower = {"tokenizer": "tower", "tokenizer_epochs": 1, "item_vector_size": 16}
    with working_in(tmp_path):
        prepared = prepare(store_settings(tiny_llm, planted, cold_items=0.1, **tower))
        model = make_model(prepared, semantic_ids=False)
        make_trainer(prepared, model).tokenize_items(prepared.train.dataset)
    expected = torch.zeros(61, dtype=torch.bool)
    expected[[0, *model.cold_items.tolist()]] = True
    assert expected.sum() == 7 and left_out
    assert all(torch.equal(mask, expected) for mask in left_out)
    assert fitted == [54]


def test_cold_items_do_not_scale_the_points_of_others(tiny_llm, planted, tmp_path):
    with working_in(tmp_path):
        model = make_model(prepare(store_settings(tiny_llm, planted, cold_items=0.1)))
    points = torch.randn(model.n_items - 1, model.points.size(1))
    model.item_tokenizer.set_points(points)
    warm = model._is_known()
    before = model.points[warm].clone()
    assert before.square().mean().item() == pytest.approx(1.0)
    points[model.cold_items - 1] *= 3
    model.item_tokenizer.set_points(points)
    assert torch.equal(model.points[warm], before)


@pytest.mark.parametrize("decoding", ["beam", "exact"])
@pytest.mark.parametrize("filtered", [False, True])
def test_tiger_tokenizes_cold_items_from_their_texts(
    tiny_llm, planted, tmp_path, decoding, filtered
):
    changes = {"tokenizer": "rqkmeans", "text_encoder": str(tiny_llm), "pca_dim": 16}
    changes |= {"decoding": decoding, "filter_history": filtered}
    settings = tiger_settings(planted, cold_items=0.1, codebook_size=8, **changes)
    metrics = cold_run("TIGER", settings, tmp_path)["metrics"]
    assert list(metrics)[:4] == SLICES
    assert {"cold/full/reserved", "cold/only/nearest"} < metrics.keys()
    assert metrics["cold/only"]["recall@10"] == 1.0  # six items
    assert metrics["cold/full/reserved"]["recall@10"] >= metrics["cold/full"]["recall@10"]


def test_cold_items_have_no_random_codes(planted, tmp_path):
    settings = tiger_settings(planted, cold_items=0.1, codebook_size=8)
    with pytest.raises(NoCodesError, match="tokenizer: random"):
        cold_run("TIGER", settings, tmp_path)


@pytest.mark.parametrize("model", ["Pop", "SASRec"])
def test_counts_are_those_of_a_world_without_cold_items(histories, tmp_path, model):
    data_path, truth = histories
    typed = {"data_path": str(data_path), "gpu_id": "", "cold_items": "0.2", "epochs": "1"}
    settings = {**resolve(model, "some", [], typed), "show_progress": False}
    run_model(model, "some", settings, tmp_path / "run")
    cold = load("Pop", data_path)[1][2]._dataset
    cold = set(cold.id2token("item_id", cold.cold_items))
    with np.load(tmp_path / "run" / "ranked.npz") as lists:
        counts = dict(zip(lists["raw_ids"], lists["item_counts"].tolist(), strict=True))
        lengths = dict(zip(lists["users"], lists["history_lengths"].tolist(), strict=True))
    warm = Counter(i for items in truth.values() for i in items[:-2] if i not in cold)
    assert {item: n for item, n in counts.items() if n} == dict(warm)
    expected = {u: sum(i not in cold for i in items[:-1]) for u, items in truth.items()}
    assert lengths == {user: n for user, n in expected.items() if n}


def test_id_models_run_under_the_same_rules(planted, tmp_path):
    for model in ("SASRecAll", "Pop"):
        typed = {"data_path": str(planted), "gpu_id": "", "cold_items": "0.1", "epochs": "2"}
        settings = {**resolve(model, "planted", [], typed), "show_progress": False}
        cold = cold_run(model, settings, tmp_path)
        by_bias = ["warm/after/bias", "cold/full/bias"] if model == "SASRecAll" else []
        assert list(cold["metrics"]) == [*SLICES, *by_bias]
        assert cold["metrics"]["cold/only"]["recall@10"] == 1.0  # six items


@pytest.mark.parametrize("model", ["SASRecAll", "STORE"])
def test_what_is_lost_of_validation_is_what_was_said(
    model, tiny_llm, planted, tmp_path, monkeypatch
):
    """Ranked once more with the chosen bias, validation has lost 3% and no target too many."""
    found = []

    def choose(known, new, k, gain):
        found.append(choose_bias(known, new, k, gain))
        return found[-1]

    def test_cold(trainer, valid_data, test_data, config) -> dict:
        told = evaluate_cold.test_cold(trainer, valid_data, test_data, config)
        of_run, dataset = trainer.model, valid_data._dataset
        trainer.model = raises = raised(of_run, test_data._dataset.cold_items)
        for hidden, bias in ((test_data._dataset.cold_items, 0.0), (None, found[0])):
            dataset.also_excluded, raises.new_item_bias = hidden, bias
            recall = trainer.evaluate(valid_data, load_best_model=False)["recall@10"]
            found.append(round(recall * len(dataset)))
        raises.new_item_bias, trainer.model = 0.0, of_run
        return told

    monkeypatch.setattr(evaluate_cold, "choose_bias", choose)
    monkeypatch.setattr(run, "test_cold", test_cold)
    changes = {"cold_items": 0.1, "epochs": 2}
    if model == "STORE":
        changes |= {"item_head_weight": 1.0, "item_head_share": 0.7, "item_vector_size": 16}
        settings = store_settings(tiny_llm, planted, **changes)
    else:
        typed = {"data_path": str(planted), "gpu_id": ""}
        settings = {**resolve(model, "planted", [], typed), "show_progress": False, **changes}
    cold_run(model, settings, tmp_path)
    _, before, after = found
    assert before - after == int(MOST_LOSS * before) > 3


def test_the_best_epoch_is_tested_where_no_user_has_a_known_target(
    write_dataset, tmp_path, monkeypatch
):
    """All end with the one item that is cold: the first to be ranked are validation's rows."""
    rows = [
        (f"u{user}", item, step)
        for user in range(20)
        for step, item in enumerate([*(f"i{(user + step) % 7}" for step in range(5)), "last"])
    ]
    data_path = write_dataset("some", rows)
    train = run.fit
    tested = []

    def fit(continuation, *args):
        found = train(continuation, *args)
        with torch.no_grad():  # as epochs behind the best one may leave them
            continuation.trainer.model.item_embedding.weight.zero_()
        return found

    monkeypatch.setattr(run, "fit", fit)
    test = run.test_model
    monkeypatch.setattr(run, "test_model", lambda *a, **k: tested.append(a[0]) or test(*a, **k))
    typed = {"data_path": str(data_path), "gpu_id": "", "cold_items": "0.9", "epochs": "2"}
    settings = {**resolve("SASRecAll", "some", [], typed), "show_progress": False}
    cold = run_model("SASRecAll", "some", settings, tmp_path / "run")["cold"]
    assert cold["metrics"]["warm/before"] == {} and cold["n_users"] == 20
    best = read(tmp_path / "run" / "best.safetensors")["weights"]["item_embedding.weight"]
    assert best.abs().sum() > 0
    assert torch.equal(tested[0].model.item_embedding.weight, best)


def test_nearest_neighbours_by_hand():
    class Model:
        ITEM_SEQ, ITEM_SEQ_LEN = "item_seq", "item_length"

    vectors = torch.tensor([[0.0, 0], [1, 0], [2, 0.1], [0, 3]])
    batch = {"item_seq": torch.tensor([[1, 0, 0], [3, 1, 1]])}
    batch["item_length"] = torch.tensor([1, 3])
    excluded = (torch.tensor([0]), torch.tensor([1]))
    nearest = NearestNeighbours(Model(), vectors, 3, warm=torch.tensor([1, 2]))
    assert nearest.recommend(batch, excluded).item_ids.tolist() == [[2, 3, 0], [2, 1, 3]]
    nearest.reserved = 0.5  # every second place, for item 3, which is cold
    assert nearest.recommend(batch, excluded).item_ids.tolist() == [[2, 3, 0], [2, 3, 1]]
    assert nearest.recommend(batch).item_ids.tolist() == [[1, 3, 2], [2, 3, 1]]


def test_example_histories_are_those_that_models_see(histories):
    _, loaders = load("SASRec", histories[0])
    test = loaders[2]._dataset
    cold = int(test.cold_items[0])
    warm = next(i for i in range(1, test.item_num) if i not in test.cold_items.tolist())
    tested = test.id2token("user_id", test.inter_feat["user_id"])[0]
    users = np.array([tested, "a user of cold items alone"])
    found = histories_without_cold(users, np.array([[0, cold, warm], [0, 0, cold]]), test)
    assert [part.tolist() for part in found] == [[tested], [[0, 0, warm]]]
