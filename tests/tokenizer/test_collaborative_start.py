"""Items' own vectors start from co-occurrence in training histories."""

import pytest
import torch
from planted_store import make_model, make_trainer, prepare, store_settings, working_in
from recbole.data import data_preparation
from recbole.utils import get_model, get_trainer, init_seed
from torch import nn

from recbole_store.experiments.run.build import build
from recbole_store.settings.resolve import resolve
from recbole_store.tokenizer.co_occurrence import (
    collaborative_factors,
    start_from_co_occurrence,
    training_co_occurrence,
)


class Rows:
    """What is asked of RecBole's training split: rows with a history and a target each."""

    iid_field, item_list_field, item_list_length_field = "item", "item_list", "length"

    def __init__(self, histories, targets):
        self.inter_feat = {
            "item_list": torch.tensor(histories),
            "length": (torch.tensor(histories) > 0).sum(1),
            "item": torch.tensor(targets),
        }


# Items 1 to 3 go together, and 4 to 6; nobody had 7.
SPLIT = Rows([[1, 2], [2, 3], [3, 1], [4, 5], [5, 6], [6, 4]], [3, 1, 2, 6, 4, 5])


def test_counts_are_of_the_training_rows():
    counts = training_co_occurrence(SPLIT, 8).toarray()
    assert counts[1, 2] > 0 and counts[4, 6] > 0
    assert not counts[1, 4:].any() and not counts[7].any()


def test_items_of_the_same_histories_start_alike():
    vectors = nn.Embedding(8, 2)
    nn.init.zeros_(vectors.weight)
    start_from_co_occurrence(vectors, 2.0, SPLIT, seed=1)
    found = vectors.weight.detach()
    unit = nn.functional.normalize(found, dim=1)
    assert unit[1] @ unit[2] > 0.9 and unit[4] @ unit[5] > 0.9
    assert abs(unit[1] @ unit[4]) < 0.1
    assert found.norm(dim=1)[1:7].numpy() == pytest.approx(2.0, rel=1e-4)
    assert not found[[0, 7]].any()  # padding, and an item without company


def test_vectors_wider_than_there_are_factors_keep_their_last_components():
    vectors = nn.Embedding(8, 16)
    before = vectors.weight.detach().clone()
    start_from_co_occurrence(vectors, 1.0, SPLIT, seed=1)
    assert (vectors.weight[1:7, :4] != before[1:7, :4]).any(1).all()
    assert torch.equal(vectors.weight[:, 8:], before[:, 8:])


def test_store_s_own_vectors_start_so_before_stage_2(tiny_llm, planted, tmp_path):
    changes = {"item_head_weight": 1.0, "item_vector_size": 8, "epochs": 0}
    with working_in(tmp_path):
        prepared = prepare(store_settings(tiny_llm, planted, **changes))
        own = {}
        for length in (None, 3.0):
            model = make_model(prepared, semantic_ids=False, collaborative_start=length)
            trainer = make_trainer(prepared, model, collaborative_start=length)
            random = model.item_vectors.own.weight.detach().clone()
            trainer.fit(prepared.train, saved=False, verbose=False)
            own[length] = model.item_vectors.own.weight.detach() - random
    assert not own[None].any()
    assert_is_added(own[3.0], prepared.train.dataset)


def test_sasrecall_s_items_start_so(planted, tmp_path):
    typed = {"data_path": str(planted), "gpu_id": "", "epochs": "0", "hidden_size": "8"}
    settings = resolve("SASRecAll", "planted", [], {**typed, "collaborative_start": "3"})
    with working_in(tmp_path):
        config, dataset = build("SASRecAll", "planted", {**settings, "show_progress": False})
        train, *_ = data_preparation(config, dataset)
        init_seed(config["seed"], True)
        model = get_model("SASRecAll")(config, train.dataset)
        random = model.item_embedding.weight.detach().clone()
        trainer = get_trainer(config["MODEL_TYPE"], "SASRecAll")(config, model)
        trainer.fit(train, saved=False, verbose=False)
    assert_is_added(model.item_embedding.weight.detach() - random, train.dataset)


def assert_is_added(added, split):
    """Of length 3 for each item that a training history puts beside another."""
    counts = training_co_occurrence(split, len(added))
    together = torch.from_numpy(counts.sum(1)).flatten() > 0
    assert together[1:].any() and not together[0]
    lengths = split.inter_feat[split.item_list_length_field].tolist()
    weights = sum(1 / step for length in lengths for step in range(1, min(length, 5) + 1))
    assert counts.sum() == pytest.approx(2 * weights)  # of all rows, there and back
    # The training split's own, in direction as well: other rows would give other factors.
    expected = 3 * collaborative_factors(counts, added.size(1), seed=2020)
    torch.testing.assert_close(added, expected, rtol=1e-3, atol=1e-4)
    lengths = added.norm(dim=1)
    assert lengths[together].numpy() == pytest.approx(3.0, rel=1e-3)
    assert not lengths[~together].any()
