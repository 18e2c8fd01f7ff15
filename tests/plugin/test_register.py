"""What the plugin changes in RecBole, and that it changes nothing else."""

from __future__ import annotations

import importlib.util
import math
import random
from collections import Counter

import numpy as np
import pytest
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.data.dataset import Dataset
from recbole.data.transform import construct_transform
from recbole.utils import get_model, get_trainer
from recbole.utils.argument_list import dataset_arguments

import recbole_store
from recbole_store.errors import SettingsError
from recbole_store.experiments.run.build import CheckedConfig, build
from recbole_store.experiments.run.run import run_model
from recbole_store.generator.windows import window_rows
from recbole_store.plugin.datasets import STOREDataset
from recbole_store.plugin.register import DATASET_KEYS, SemanticIdTransform
from recbole_store.settings.defaults import plugin_defaults
from recbole_store.settings.property_files import PLUGIN_MODELS
from recbole_store.settings.resolve import resolve

MODELS = ("STORE", "SASRec", "Pop")
START = 1_600_000_000  # float32 knows multiples of 128 here


@pytest.fixture
def shuffled(write_dataset) -> tuple:
    """A data set whose file is in no order, one second between a user's interactions.

    Returns data_path and the true histories: raw user id -> raw item ids in time order.
    """
    rng = random.Random(3)
    histories = {
        f"u{user}": [f"i{rng.randrange(12)}" for _ in range(4 + user % 20)] for user in range(40)
    }
    rows = [
        (user, item, START + step)
        for user, items in histories.items()
        for step, item in enumerate(items)
    ]
    rng.shuffle(rows)
    items = [f"i{n}\ttitle {n}" for n in range(12)]
    return write_dataset("shuffled", rows, ["item_id:token\ttitle:token_seq", *items]), histories


def load(model, data_path, dataset="shuffled", **more):
    """Config and data set of a model, as a run has them."""
    settings = resolve(model, dataset, [], {"data_path": str(data_path)})
    columns = {"inter": ["user_id", "item_id", "timestamp"]}
    more = {"load_col": columns, "gpu_id": "", "codebook_size": 4, **more}
    return build(model, dataset, {**settings, **more})


def targets(dataset, split) -> dict[str, list[str]]:
    """Raw item ids to predict, by raw user id, in the order of the split's rows."""
    users = dataset.field2id_token["user_id"][split.inter_feat["user_id"].numpy()]
    items = dataset.field2id_token["item_id"][split.inter_feat["item_id"].numpy()]
    found: dict[str, list[str]] = {}
    for user, item in zip(users, items, strict=True):
        found.setdefault(str(user), []).append(str(item))
    return found


# Registration


def test_recbole_knows_store():
    from recbole_store.model.store import STORE
    from recbole_store.plugin.trainer import STORETrainer

    assert get_model("STORE") is STORE
    assert get_trainer(None, "STORE") is STORETrainer


def test_recboles_own_models_are_untouched(shuffled):
    assert get_model("SASRec").__module__ == "recbole.model.sequential_recommender.sasrec"
    assert get_trainer(None, "SASRec").__module__ == "recbole.trainer.trainer"
    assert type(load("SASRec", shuffled[0])[1]).__name__ == "SequentialDataset"
    assert type(load("Pop", shuffled[0])[1]) is Dataset


def test_recboles_own_config_reads_our_properties(shuffled):
    """``run_recbole(model="STORE")`` goes this way: no settings of ours but the defaults."""
    own = {"data_path": str(shuffled[0]), "gpu_id": "", "codebook_size": 4}
    config = Config(model="STORE", dataset="shuffled", config_dict=own)
    assert config["num_beams"] == 20 and config["exact_time_order"] is True
    assert config["train_neg_sample_args"]["distribution"] == "none"
    dataset = create_dataset(config)
    assert type(dataset) is STOREDataset
    assert dataset.item_texts[1][0].startswith("title: title ")

    config = Config(model="Pop", dataset="shuffled", config_dict=own)
    assert config["exact_time_order"] is True and config["num_beams"] is None
    assert config["topk"] == [10] and config["eval_args"]["order"] == "RO", "RecBole's own"


def test_registering_twice_changes_nothing():
    before = (list(dataset_arguments), Config._load_internal_config_dict, Dataset._load_inter_feat)
    recbole_store.plugin.register.register()
    assert before == (
        dataset_arguments,
        Config._load_internal_config_dict,
        Dataset._load_inter_feat,
    )


def test_cached_datasets_are_compared_by_our_keys_too():
    assert {"exact_time_order", "item_text", "n_slots"} <= set(DATASET_KEYS)
    for key in DATASET_KEYS:
        assert dataset_arguments.count(key) == 1


def test_a_saved_dataset_with_another_item_text_is_not_reused(shuffled):
    """By RecBole's own route: our commands refuse what it has saved, as that is a pickle."""

    def by_recbole(title: str):
        settings = resolve("STORE", "shuffled", [], {"data_path": str(shuffled[0])})
        columns = {"inter": ["user_id", "item_id", "timestamp"]}
        more = {"load_col": columns, "gpu_id": "", "codebook_size": 4, "save_dataset": True}
        settings |= {**more, "item_text": {"title": title}, "checkpoint_dir": "saved"}
        return create_dataset(CheckedConfig("STORE", "shuffled", config_dict=settings))

    first, again, other = by_recbole("{}"), by_recbole("{}"), by_recbole("A {}")
    assert again.item_texts == first.item_texts
    assert other.item_texts[1] == ["A " + first.item_texts[1][0]]


def test_anomaly_mode_is_off():
    """RecBole's sine.py switches it on, which doubles everybody's training time."""
    import recbole.model.sequential_recommender  # noqa: F401

    assert not torch.is_anomaly_enabled()


@pytest.mark.parametrize("model", PLUGIN_MODELS)
@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"epochs": "many"}, "`epochs` is 'many', but must be an integer"),
        ({"cold_items": 5}, r"`cold_items` is 5, but must be a number in \(0, 1\)"),
        ({"item_text": {"title": 7}}, "`item_text` has 7"),
        ({"valid_metric": "NDCG@3"}, "NDCG@3, which will not be computed"),
    ],
)
def test_recbole_s_own_route_checks_our_models_values(shuffled, model, wrong, says):
    settings = {"data_path": str(shuffled[0]), "gpu_id": "", **wrong}
    with pytest.raises(SettingsError, match=says):
        create_dataset(Config(model=model, dataset="shuffled", config_dict=settings))


@pytest.mark.parametrize(
    ("model", "key", "value"),
    [
        ("STORE", "num_beams", 0),
        ("SASRecAll", "item_dropout", 1.5),
        ("SASRecAll", "together_weight", "much"),
        ("TIGER", "targets_per_user", 0),
        ("Neighbours", "decay", -1),
        ("TextTower", "text_features", "word"),
    ],
)
def test_and_those_of_their_own_keys(shuffled, model, key, value):
    settings = {"data_path": str(shuffled[0]), "gpu_id": "", key: value}
    with pytest.raises(SettingsError, match=f"`{key}` is {value!r}, but must be"):
        create_dataset(Config(model=model, dataset="shuffled", config_dict=settings))


# Splits and training windows


def test_splits_equal_sasrecs_row_by_row(shuffled):
    _, ours = load("STORE", shuffled[0], MAX_ITEM_LIST_LENGTH=5)
    _, theirs = load("SASRec", shuffled[0], MAX_ITEM_LIST_LENGTH=5)
    for field, raw_ids in theirs.field2id_token.items():
        assert list(ours.field2id_token[field]) == list(raw_ids)
    for our_split, their_split in zip(ours.build(), theirs.build(), strict=True):
        mine, other = our_split.inter_feat.interaction, their_split.inter_feat.interaction
        assert mine.keys() == other.keys()
        assert len(other["item_id"]) >= 40
        for column, values in other.items():
            assert torch.equal(mine[column], values), column


@pytest.mark.parametrize("max_items", [1, 2, 3, 7, 50])
def test_windows_show_every_training_target_once(shuffled, max_items):
    data_path, histories = shuffled
    _, dataset = load("STORE", data_path, MAX_ITEM_LIST_LENGTH=max_items)
    train, valid, test = dataset.build()
    windows = train[torch.arange(len(train))]
    shown: dict[str, list[str]] = {}
    for user, items, length, item in zip(
        dataset.id2token("user_id", windows["user_id"]),
        windows["item_id_list"],
        windows["item_length"],
        windows["item_id"],
        strict=True,
    ):
        sequence = [*items[: int(length)], item]
        shown.setdefault(str(user), []).extend(dataset.id2token("item_id", sequence[1:]))
    # All but the last two items train; the first has nothing to be predicted from.
    assert shown == {user: items[1:-2] for user, items in histories.items()}
    n_targets = [len(items) - 3 for items in histories.values()]
    assert len(train) == sum(math.ceil(n / max_items) for n in n_targets)
    assert len(train.inter_feat) == sum(n_targets), "RecBole's own rows stay"
    assert (len(valid), len(test)) == (len(histories), len(histories))


def test_window_rows_by_hand():
    users = np.array([1, 1, 1, 1, 1, 2])
    assert window_rows(users, 2).tolist() == [0, 2, 4, 5]
    assert window_rows(users, 1).tolist() == [0, 1, 2, 3, 4, 5]
    assert window_rows(users, 5).tolist() == [4, 5]
    assert window_rows(users, 99).tolist() == [4, 5]


def test_window_rows_of_nobody():
    assert window_rows(np.array([], dtype=np.int64), 3).tolist() == []


@pytest.mark.parametrize("seed", range(20))
def test_window_rows_cover_each_target_once(seed):
    """Row r of a user shows targets r - max_items + 1 to r, in any order of the users."""
    rng = np.random.default_rng(seed)
    max_items = int(rng.integers(1, 8))
    users = np.repeat(rng.permutation(6), rng.integers(0, 20, size=6))
    if seed % 2:  # users' rows interleaved; each user's own rows stay in order
        rng.shuffle(users)
    rows = window_rows(users, max_items)
    assert rows.dtype == np.int64 and (np.diff(rows) > 0).all()
    covered = Counter()
    for row in rows:
        own_rows = np.flatnonzero(users == users[row])
        place = int(np.searchsorted(own_rows, row))
        covered.update(int(r) for r in own_rows[max(place - max_items + 1, 0) : place + 1])
    assert covered == Counter(range(len(users)))


def test_benchmark_files_keep_their_rows(tmp_path):
    """Rows of benchmark files are no prefixes of each other, so there are no windows."""
    folder = tmp_path / "data" / "bench"
    folder.mkdir(parents=True)
    header = "user_id:token\titem_id_list:token_seq\titem_id:token"
    for part, n_rows in (("train", 5), ("valid", 2), ("test", 2)):
        rows = [f"u{n}\ti1 i2 i3\ti{n + 1}" for n in range(n_rows)]
        (folder / f"bench.{part}.inter").write_text("\n".join([header, *rows]) + "\n")
    lines = ["item_id:token\ttitle:token_seq", *(f"i{n}\ttitle {n}" for n in range(1, 6))]
    (folder / "bench.item").write_text("\n".join(lines) + "\n")
    settings = {
        **plugin_defaults("STORE", "bench"),
        "data_path": str(tmp_path / "data"),
        "benchmark_filename": ["train", "valid", "test"],
        "alias_of_item_id": ["item_id_list"],
        "load_col": {"inter": ["user_id", "item_id_list", "item_id"]},
        "codebook_size": 4,
        "gpu_id": "",
    }
    _, dataset = build("STORE", "bench", settings)
    train, *_ = dataset.build()
    assert train.window_rows is None
    assert len(train) == len(train.inter_feat) == 5


# Time order


@pytest.mark.parametrize("model", MODELS)
def test_test_item_is_the_true_last(shuffled, model):
    data_path, histories = shuffled
    _, dataset = load(model, data_path)
    _, valid, test = dataset.build()
    assert targets(dataset, test) == {user: items[-1:] for user, items in histories.items()}
    assert targets(dataset, valid) == {user: items[-2:-1] for user, items in histories.items()}


@pytest.mark.parametrize("model", MODELS)
def test_without_exact_time_order_recboles_own_order_comes_back(shuffled, model, monkeypatch):
    data_path, histories = shuffled
    _, dataset = load(model, data_path, exact_time_order=False)
    ours = [targets(dataset, split) for split in dataset.build()]

    spec = importlib.util.find_spec("recbole.data.dataset.dataset")
    pristine = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pristine)  # a second copy of the module, which nobody changed
    assert pristine.Dataset._load_inter_feat is not Dataset._load_inter_feat
    monkeypatch.setattr(Dataset, "_load_inter_feat", pristine.Dataset._load_inter_feat)
    _, dataset = load(model, data_path)
    assert ours == [targets(dataset, split) for split in dataset.build()]
    assert ours[2] != {user: items[-1:] for user, items in histories.items()}, "it would not show"


def test_same_times_keep_the_files_order(write_dataset):
    rows = [("u1", f"i{n}", START) for n in (3, 1, 4, 0, 5, 9, 2, 6)]
    items = ["item_id:token\ttitle:token_seq", *(f"i{n}\tx" for n in range(10))]
    _, dataset = load("STORE", write_dataset("shuffled", rows, items))
    _, valid, test = dataset.build()
    assert targets(dataset, valid) == {"u1": ["i2"]}
    assert targets(dataset, test) == {"u1": ["i6"]}


# Semantic IDs in the batches


def fill_table(dataset) -> torch.Tensor:
    """Any table: item n has [n, 2n, 3n]."""
    dataset.semantic_ids[:] = torch.arange(dataset.item_num)[:, None] * torch.tensor([1, 2, 3])
    return dataset.semantic_ids


def test_splits_share_one_table(shuffled):
    config, dataset = load("STORE", shuffled[0])
    loaders = data_preparation(config, dataset)
    table = fill_table(dataset)
    assert table.shape == (dataset.item_num, 3) and table.dtype == torch.long
    for loader in loaders:
        assert loader._dataset is not dataset
        assert loader._dataset.semantic_ids.data_ptr() == table.data_ptr()
        assert loader._dataset.semantic_ids[-1].tolist() == table[-1].tolist() != [0, 0, 0]


def test_batches_carry_semantic_ids(shuffled):
    config, dataset = load("STORE", shuffled[0], MAX_ITEM_LIST_LENGTH=4)
    train, valid, test = data_preparation(config, dataset)
    table = fill_table(dataset)  # after the loaders were made, as in training
    for loader in (train, valid, test):
        n_rows = 0
        for batch in loader:
            interaction = batch if loader is train else batch[0]
            histories = interaction["semantic_id_item_id_list"]
            assert histories.shape == (len(interaction), 4, 3)
            assert torch.equal(histories, table[interaction["item_id_list"]])
            if loader is train:
                assert torch.equal(
                    interaction["semantic_id_item_id"], table[interaction["item_id"]]
                )
            n_rows += len(interaction)
        assert n_rows == len(loader._dataset)


def test_other_models_batches_carry_none(shuffled):
    config, dataset = load("SASRec", shuffled[0])
    batch = next(iter(data_preparation(config, dataset)[0]))
    assert not [name for name in batch.interaction if name.startswith("semantic_id")]


def test_user_defined_transforms_of_other_models_stay_theirs(shuffled):
    """RecBole has one slot for a transform of one's own, which STORE must not take from others."""
    config, _ = load("SASRec", shuffled[0], transform="user_defined")
    assert type(construct_transform(config)).__module__ == "recbole.data.transform"
    config, _ = load("STORE", shuffled[0])
    assert type(construct_transform(config)) is SemanticIdTransform


def test_item_texts_follow_item_ids(shuffled):
    _, dataset = load("STORE", shuffled[0], item_text={"title": "<{}>"})
    assert dataset.item_texts[0] == []
    for item_id in range(1, dataset.item_num):
        number = dataset.id2token("item_id", item_id).removeprefix("i")
        assert dataset.item_texts[item_id] == [f"<title {number}>"]


# Metrics that vanilla RecBole cannot compute


BEYOND_RANKING = ["ItemCoverage", "AveragePopularity", "ShannonEntropy", "GiniIndex"]
BEYOND_RANKING += ["TailPercentage"]


def run_with_all_metrics(model, data_path, tmp_path, **more) -> dict:
    settings = resolve(model, "shuffled", [], {"data_path": str(data_path), "epochs": "1"})
    settings.update(
        load_col={"inter": ["user_id", "item_id", "timestamp"]},
        gpu_id="",
        metrics=["NDCG", *BEYOND_RANKING],
        topk=[4, 10],
        metric_decimal_place=8,
        **more,
    )
    return run_model(model, "shuffled", settings, tmp_path / "run")["test"]


def test_coverage_metrics_of_pop_by_hand(shuffled, tmp_path):
    """Pop shows all 40 users the same four items."""
    data_path, histories = shuffled
    # Else RecBole's Pop is not the popularity: see the last test.
    more = {"train_batch_size": 1, "train_neg_sample_args": None}
    test = run_with_all_metrics("Pop", data_path, tmp_path, **more)
    counts = Counter(item for items in histories.values() for item in items[:-2])
    n_items = 13  # RecBole counts the padding
    assert test["itemcoverage@4"] == pytest.approx(4 / n_items)
    popular = [count for _, count in counts.most_common(4)]
    assert test["averagepopularity@4"] == pytest.approx(sum(popular) / 4)
    assert test["shannonentropy@4"] == pytest.approx(math.log(4) / 4)  # RecBole's own scale
    # Lorenz curve: the last four of n items have a quarter each.
    ranks = range(n_items - 3, n_items + 1)
    gini = sum((2 * rank - n_items - 1) / 4 for rank in ranks) / n_items
    assert test["giniindex@4"] == pytest.approx(gini)
    assert test["tailpercentage@4"] == 0.0


def test_coverage_metrics_of_a_sequential_model(shuffled, tmp_path):
    small = {"hidden_size": 16, "inner_size": 16, "n_heads": 1, "n_layers": 1}
    test = run_with_all_metrics("SASRec", shuffled[0], tmp_path, **small)
    assert {f"{name.lower()}@10" for name in BEYOND_RANKING} < test.keys()
    assert 10 / 13 <= test["itemcoverage@10"] <= 12 / 13
    assert 0 < test["tailpercentage@10"] <= 1 / 10, "the tail is one item, seen by most users"


def test_pop_counts_interactions(shuffled):
    config, dataset = load("Pop", shuffled[0])
    train, *_ = data_preparation(config, dataset)
    model = get_model("Pop")(config, train.dataset)
    for batch in train:
        model.calculate_loss(batch)
    counts = Counter(item for items in shuffled[1].values() for item in items[:-2])
    raw_ids = dataset.field2id_token["item_id"]
    assert dict(zip(raw_ids[1:], model.item_cnt[1:, 0].tolist(), strict=True)) == counts
