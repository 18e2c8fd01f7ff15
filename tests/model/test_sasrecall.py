"""SASRecAll: SASRec's network on windows, with the loss of every position."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from planted_store import histories_of
from recbole.data import data_preparation
from recbole.utils import get_model, init_seed

from recbole_store.experiments.run.build import build
from recbole_store.experiments.run.run import run_model
from recbole_store.settings.resolve import resolve


def settings(planted, **changes) -> dict:
    typed = {"data_path": str(planted), "MAX_ITEM_LIST_LENGTH": "5", "gpu_id": "", **changes}
    resolved = resolve("SASRecAll", "planted", [], {k: str(v) for k, v in typed.items()})
    return {**resolved, "show_progress": False}


def prepared(planted, **changes):
    config, dataset = build("SASRecAll", "planted", settings(planted, **changes))
    loaders = data_preparation(config, dataset)
    init_seed(config["seed"], True)
    return get_model("SASRecAll")(config, loaders[0].dataset), loaders


@pytest.mark.parametrize("filtered", [False, True])
def test_its_loss_is_that_of_one_row_a_target(planted, filtered):
    model, (train, *_) = prepared(planted, filter_history=filtered)
    assert model.filter_training is filtered
    model.eval()
    histories, targets = histories_of(train, 40)
    rows = [
        ((history + [target])[:n], (history + [target])[n])
        for history, target in zip(histories, targets, strict=True)
        for n in range(1, len(history) + 1)
    ]
    by_row = []
    for history, target in rows:
        last = model(torch.tensor([history]), torch.tensor([len(history)]))
        logits = last @ model.item_embedding.weight.T
        if filtered:
            logits[0, [0, *set(history) - {target}]] = -torch.inf
        by_row.append(F.cross_entropy(logits, torch.tensor([target])))
    windows = train.dataset[torch.arange(40)]
    assert len(set(map(len, histories))) > 1  # padding took part
    n_targets = 40 * len(train.dataset.inter_feat) / len(train.dataset)  # as 40 windows have
    torch.testing.assert_close(model.calculate_loss(windows), torch.stack(by_row).sum() / n_targets)


def test_windows_hold_every_target_once(planted):
    _, (train, valid, _) = prepared(planted)
    histories, _ = histories_of(train, len(train.dataset))
    assert sum(map(len, histories)) == len(train.dataset.inter_feat)
    assert valid.dataset.window_rows is None


def test_it_learns_what_follows_what(planted, tmp_path):
    short = settings(
        planted, epochs=15, hidden_size=32, hidden_dropout_prob=0.1, train_batch_size=16
    )
    result = run_model("SASRecAll", "planted", short, tmp_path / "run")
    assert result["test"]["recall@1"] > 0.5  # chance is 1 in 60


def with_texts(planted, **changes):
    """A model that reads texts, and some rows of validation."""
    texts = {"item_text": '{colour: "{}", shape: "{}"}'}
    model, (_, valid, _) = prepared(planted, **texts, **changes)
    return model.eval(), valid.dataset[torch.arange(5)]


def test_words_and_company_are_added_to_the_logits(planted):
    plain, rows = with_texts(planted, text_weight=1e-9)
    both, _ = with_texts(planted, text_weight=3.0, together_weight=2.0)
    with torch.no_grad():
        gain = both.full_sort_predict(rows) - plain.full_sort_predict(rows)
    seq, lengths = rows["item_id_list"], rows["item_length"]
    words = torch.from_numpy(both.words.toarray())
    unit = F.normalize(words, dim=-1)
    for row in range(5):
        history = seq[row, : lengths[row]].flip(0)
        alike = sum(0.5**age * unit @ unit[item] for age, item in enumerate(history.tolist()))
        expected = 3 * alike + 2 * both.company(seq[[row]], lengths[[row]])[0]
        torch.testing.assert_close(gain[row], expected, rtol=1e-4, atol=1e-4)


def test_new_items_have_the_company_of_like_texts(planted):
    model, _ = with_texts(planted, cold_items=0.1, filter_history=False, together_weight=2.0)
    cold = model.cold_items.numpy()
    assert model.company.together[cold].nnz == 0, "no training history has them"
    model.admit_new_items()
    assert (model.company.together[cold].getnnz(axis=1) > 0).all()


def test_new_items_take_the_vectors_of_like_texts(planted):
    """Five items of sixty; the five nearest texts have the colour or the shape in common."""
    model, _ = with_texts(planted, cold_items=0.1, filter_history=False)
    before = model.item_embedding.weight.detach().clone()
    model.admit_new_items()
    after = model.item_embedding.weight.detach()
    cold = model.cold_items
    known = [i for i in range(1, model.n_items) if i not in set(cold.tolist())]
    assert torch.equal(after[known], before[known])
    likeness = torch.from_numpy((model.words @ model.words.T).toarray())
    for item in cold.tolist():
        nearest = torch.tensor(known)[likeness[item, known].topk(5).indices]
        mean = before[nearest].mean(0)
        assert F.cosine_similarity(after[item], mean, dim=0) > 0.999
        assert after[item].norm().item() == pytest.approx(
            before[nearest].norm(dim=-1).mean().item()
        )
