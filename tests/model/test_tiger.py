"""TIGER as RecBole sees it: the loss, the scores, what it learns, how it is loaded."""

from __future__ import annotations

import pytest
import torch
from planted_data import FOLLOWS
from planted_store import first_rows, histories_of, working_in, write_labelled
from planted_tiger import make_model, naive_log_prob, prepare, tiger_settings
from recbole import quick_start
from recbole.utils import get_trainer
from recbole.utils.case_study import full_sort_topk
from torch.testing import assert_close

from recbole_store.errors import NoCodesError, SettingsError
from recbole_store.experiments.run.build import build, check_start
from recbole_store.experiments.run.run import run_model

CLOSE = {"rtol": 1e-4, "atol": 1e-5}
FEW_USERS = {"user_inter_num_interval": "[12,inf)"}


@pytest.fixture(scope="module")
def prepared(planted, tmp_path_factory):
    with working_in(tmp_path_factory.mktemp("tiger")):
        yield prepare(tiger_settings(planted, **FEW_USERS))


@pytest.fixture(params=[0, 7], ids=["no users", "users"])
def model(request, prepared):
    return make_model(prepared, n_user_tokens=request.param).eval()


def candidates_of(loader, n_rows: int, items: list[int]):
    """Rows as RecBole's sampled evaluation makes them: each history with each candidate."""
    batch = loader.dataset[torch.arange(n_rows)].repeat_interleave(len(items))
    batch.interaction["item_id"] = torch.tensor(items * n_rows)
    return loader.transform(loader.dataset, batch)


# --- the loss -------------------------------------------------------------------------------


@torch.no_grad()
def test_the_loss_is_that_of_each_code_among_its_level_s(prepared, model):
    batch = first_rows(prepared.train, 9)
    assert len(batch["item_length"].unique()) > 2, "padding took part"
    expected = [
        -naive_log_prob(model, int(user), history, [target])[0] / 3
        for user, history, target in zip(
            batch["user_id"], *histories_of(prepared.train, 9), strict=True
        )
    ]
    assert_close(model.calculate_loss(batch), torch.stack(expected).mean(), **CLOSE)


@torch.no_grad()
def test_rows_labelled_as_negative_do_not_train(prepared, model):
    batch = first_rows(prepared.train, 6)
    expected = model.calculate_loss(first_rows(prepared.train, 4))
    batch.interaction["label"] = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0, 0.0])
    assert_close(model.calculate_loss(batch), expected, **CLOSE)
    batch.interaction["label"] = torch.zeros(6)
    assert model.calculate_loss(batch) == 0


def test_all_of_t5_trains(prepared):
    model = make_model(prepared).train()
    model.calculate_loss(first_rows(prepared.train, 32)).backward()
    weights = dict(model.named_parameters())
    assert model.trained_parameters == sum(weight.numel() for weight in weights.values())
    # Embeddings of T5's two halves are one; the bias table's far distances do not occur.
    assert all(weight.grad is not None and weight.grad.any() for weight in weights.values())


# --- the scores -----------------------------------------------------------------------------


def test_beam_search_predict_and_plain_forward_passes_agree(prepared, model):
    model.num_beams = 100  # more than there are items
    n_rows, items = 5, list(range(1, model.n_items))
    batch = first_rows(prepared.train, n_rows)
    scores = model.full_sort_predict(batch)
    assert scores.shape == (n_rows, model.n_items)
    predicted = model.predict(candidates_of(prepared.train, n_rows, items)).view(n_rows, -1)
    assert_close(scores[:, 1:], predicted, **CLOSE)
    histories, _ = histories_of(prepared.train, n_rows)
    for row in range(n_rows):
        user = int(batch["user_id"][row])
        expected = naive_log_prob(model, user, histories[row], items)
        assert_close(predicted[row], expected, **CLOSE)
    assert predicted.std(dim=1).min() > 1e-2


def test_exact_decoding_ranks_as_scoring_every_item_does(prepared, model):
    """With so few beams that beam search alone misses items, and goes on several times."""
    n_rows, k, items = 40, 5, list(range(1, model.n_items))
    model.num_beams, model.max_topk = k, k
    batch = first_rows(prepared.train, n_rows)
    best = model.predict(candidates_of(prepared.train, n_rows, items)).view(n_rows, -1).topk(k)
    plain = model.recommend(batch)
    assert not plain.is_exact(k).all()
    model.decoding = "exact"
    exact = model.recommend(batch)
    assert exact.is_exact(k).all()
    assert_close(exact.log_probs, best.values, **CLOSE)
    assert (exact.item_ids == best.indices + 1).float().mean() > 0.95  # but for near ties


def test_hidden_items_leave_room_for_others(prepared, model):
    """Under every way of decoding; without the tree they only go."""
    batch = first_rows(prepared.train, 4)
    first = model.recommend(batch)
    rows = torch.arange(4).repeat_interleave(3)
    excluded = (rows, first.item_ids[:, :3].flatten())
    for decoding in ("beam", "exact", "free"):
        model.decoding = decoding
        model.set_semantic_ids(model.semantic_ids[1:].clone())  # indexed as this decoding needs
        found = model.recommend(batch, excluded).item_ids
        assert not (found[:, :, None] == first.item_ids[:, None, :3]).any()
        if decoding != "free":
            assert (found > 0).all()
    model.decoding, model.num_beams = "beam", 100
    every = model.recommend(batch, excluded)
    assert ((every.item_ids > 0).sum(1) == 57).all()


def test_a_batch_scores_as_its_rows_alone(prepared, model):
    batch = first_rows(prepared.train, 5)
    assert len(batch["item_length"].unique()) > 1
    together, predicted = model.full_sort_predict(batch), model.predict(batch)
    for row in range(5):
        alone = first_rows(prepared.train, 5)[row : row + 1]
        assert_close(model.full_sort_predict(alone)[0], together[row], **CLOSE)
        assert_close(model.predict(alone)[0], predicted[row], **CLOSE)


def test_a_user_s_history_is_encoded_once_and_its_keys_are_never_copied(prepared, model):
    """The encoder and the cross-attention's keys read each user once; the decoder reads beams."""
    encoded, keys, rows = [], [], []
    block = model.t5.decoder.block[0].layer
    hooks = [
        model.t5.encoder.register_forward_pre_hook(
            lambda _, args, named: encoded.append(len(named["input_ids"])), with_kwargs=True
        ),
        block[1].EncDecAttention.k.register_forward_pre_hook(
            lambda _, args: keys.append(len(args[0]))
        ),
        block[0].register_forward_pre_hook(lambda _, args: rows.append(tuple(args[0].shape[:2]))),
    ]
    model.recommend(first_rows(prepared.train, 4))
    for hook in hooks:
        hook.remove()
    assert encoded == [4] and keys == [4]
    # There are six codes to begin with, and so six prefixes to continue.
    assert rows == [(4, 1), (4 * 6, 1), (4 * model.num_beams, 1)]


def test_the_user_s_token_counts(prepared):
    model = make_model(prepared).eval()
    batch, other = first_rows(prepared.train, 3), first_rows(prepared.train, 3)
    other.interaction["user_id"] = other["user_id"] + model.n_user_tokens
    assert torch.equal(model.predict(other), model.predict(batch)), "the same hash"
    other.interaction["user_id"] = other["user_id"] + 1
    assert not torch.allclose(model.predict(other), model.predict(batch))
    # Users with one history are not scored as one user.
    both = candidates_of(prepared.train, 1, [5, 5])
    both.interaction["user_id"] = torch.tensor([1, 2])
    first, second = model.predict(both).tolist()
    assert first != second


def test_case_studies_skip_the_transform(prepared, model):
    users = prepared.test.dataset.inter_feat["user_id"][:5]
    _, items = full_sort_topk(users.numpy(), model, prepared.test, k=5, device=model.device)
    rows = first_rows(prepared.test, 5)
    assert torch.equal(items, model.full_sort_predict(rows).topk(5).indices)


def test_scores_need_semantic_ids(prepared):
    model = make_model(prepared, semantic_ids=False)
    with pytest.raises(RuntimeError, match="TIGER has no semantic IDs yet"):
        model.full_sort_predict(first_rows(prepared.train, 2))


# --- whole runs -----------------------------------------------------------------------------


LEARNING = {"epochs": 12, "stopping_step": 20, "n_user_tokens": 0, "learning_rate": 0.03}


@pytest.fixture(scope="module")
def run(planted, tiny_llm, tmp_path_factory):
    """Vanilla RecBole trains TIGER on codes of texts: its result, and the checkpoint."""
    folder = tmp_path_factory.mktemp("run")
    settings = tiger_settings(
        planted, tokenizer="rqkmeans", text_encoder=str(tiny_llm), pca_dim=16, **LEARNING
    )
    with working_in(folder):
        result = quick_start.run_recbole(
            model="TIGER",
            dataset="planted",
            config_dict={**settings, "checkpoint_dir": str(folder)},
        )
    (checkpoint,) = folder.glob("TIGER-*.pth")
    return result, checkpoint


def test_it_learns_what_follows_what(run):
    test = run[0]["test_result"]
    assert 0.7 < test["recall@1"] <= FOLLOWS + 0.05


def test_a_loaded_model_scores_as_the_run_did_and_tokenizes(run, tmp_path):
    config, model, dataset, _, valid, test = quick_start.load_data_and_model(str(run[1]))
    trainer = get_trainer(config["MODEL_TYPE"], "TIGER")(config, model)
    for loader, expected in ((test, run[0]["test_result"]), (valid, run[0]["best_valid_result"])):
        assert trainer.evaluate(loader, load_best_model=False, show_progress=False) == expected
    assert set(model.certain) == {1, 5, 10}
    assert torch.equal(
        model.item_tokenizer.tokenize(model.item_tokenizer.texts[1:]), model.semantic_ids[1:, :-1]
    )
    assert model.item_tokenizer.tokenize(["a text that nobody saw"]).shape == (1, 2)


def test_a_run_s_result_says_what_the_codes_are_like(planted, tmp_path):
    settings = tiger_settings(planted, **FEW_USERS, disambiguation_size=4)
    result = run_model("TIGER", "planted", settings, tmp_path / "run")
    report = result["store"]
    assert report["tokenizer"] == "random"
    assert report["collision_rate"] == 0.0 and report["distinct"] == 60
    assert len(report["utilisation"]) == len(report["dead_codes"]) == 2
    assert set(result["certain_topk"]["unfiltered"]) == {1, 5, 10}
    table = (tmp_path / "run" / "semantic_ids.tsv").read_text().splitlines()
    assert len(table) == 61 and table[0] == "item_id\tsemantic_id\ttext"


def test_random_codes_cannot_be_had_for_new_items(prepared, model):
    with pytest.raises(NoCodesError, match="tokenizer: random"):
        model.item_tokenizer.tokenize(["red circle"])


def test_labelled_data_train_on_rows_labelled_1(planted, tmp_path):
    columns = {"load_col": {"inter": ["user_id", "item_id", "timestamp", "label"]}}
    (tmp_path / "data").mkdir()
    data_path = write_labelled(planted, tmp_path / "data")
    settings = tiger_settings(data_path, LABEL_FIELD="label", **columns, **FEW_USERS)
    prepared = prepare(settings)
    model = make_model(prepared).eval()
    batch = first_rows(prepared.train, 30)
    wanted = batch["label"] > 0
    assert 0 < wanted.sum() < 30
    with torch.no_grad():
        assert_close(model.calculate_loss(batch), model.calculate_loss(batch[wanted]), **CLOSE)


# --- bad input ------------------------------------------------------------------------------


def test_a_missing_encoder_is_found_before_training(planted, tmp_path):
    settings = tiger_settings(planted, tokenizer="rqvae", text_encoder=str(tmp_path / "none"))
    with pytest.raises(ValueError, match="Cannot load the text encoder") as error:
        check_start("TIGER", "planted", settings)
    assert "\n" not in str(error.value) and str(tmp_path / "none") in str(error.value)
    with pytest.raises(ValueError, match="Cannot load the text encoder"):
        run_model("TIGER", "planted", settings, tmp_path / "run")


def test_the_palette_is_refused(planted):
    with pytest.raises(SettingsError, match="`tokenizer` is 'palette', but must be one of rqvae"):
        build("TIGER", "planted", tiger_settings(planted, tokenizer="palette"))
