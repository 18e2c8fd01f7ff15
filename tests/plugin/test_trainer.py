"""What STORE's trainer adds to RecBole's: smaller pieces of a batch, less memory, same training."""

from __future__ import annotations

import pytest
import torch
from planted_store import (
    first_rows,
    make_model,
    make_trainer,
    prepare,
    store_settings,
    working_in,
)
from torch.testing import assert_close

from recbole_store.plugin.learning_rates import schedule

CLOSE = {"rtol": 1e-4, "atol": 1e-6}


@pytest.fixture(scope="module")
def prepared(tiny_llm, planted, tmp_path_factory):
    with working_in(tmp_path_factory.mktemp("trainer")):
        yield prepare(store_settings(tiny_llm, planted, align_weight=0.5))


def gradients(prepared, **changes) -> tuple[dict[str, torch.Tensor], tuple[float, ...], list]:
    """Gradients, losses and the rows of each of the LLM's passes, of one step on 13 windows."""
    model = make_model(prepared, **changes).train()
    trainer = make_trainer(prepared, model, **changes)
    torch.manual_seed(5)  # the text tasks' items
    rows, forward = [], model.backbone.forward

    def counted(inputs, *args, **kwargs):
        rows.append(len(inputs))
        return forward(inputs, *args, **kwargs)

    model.backbone.forward = counted
    losses = trainer.training_loss(first_rows(prepared.train, 13))
    sum(losses).backward()
    found = {n: w.grad for n, w in model.named_parameters() if w.grad is not None}
    return found, tuple(loss.item() for loss in losses), rows


@pytest.fixture(scope="module")
def plain(prepared):
    return gradients(prepared)


@pytest.mark.parametrize("rows", [1, 4, 13])
def test_micro_batches_give_the_batch_s_gradient(prepared, plain, rows):
    expected, expected_losses, _ = plain
    found, losses, passes = gradients(prepared, micro_batch_size=rows)
    assert_close(torch.tensor(losses), torch.tensor(expected_losses), **CLOSE)
    assert max(passes) == min(rows, 13)
    assert found.keys() == expected.keys()
    for name, gradient in found.items():
        assert_close(gradient, expected[name], **CLOSE)


def test_micro_batches_of_sampled_negatives_alone_weigh_nothing(prepared):
    """Rows that negative sampling appends have label 0 and no target; pieces may hold only such."""
    model = make_model(prepared, align_weight=0.0).eval()
    trainer = make_trainer(prepared, model, micro_batch_size=2)
    batch = first_rows(prepared.train, 8)
    batch.interaction["label"] = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    whole, pieces = model.calculate_loss(batch), trainer.training_loss(batch)
    assert whole > 0
    assert_close(pieces, whole, **CLOSE)


def test_checkpointing_recomputes_and_changes_nothing(prepared, plain):
    expected, expected_losses, _ = plain
    calls = []
    model = make_model(prepared, gradient_checkpointing=True)
    assert model.backbone.llm.is_gradient_checkpointing
    layer = model.backbone.llm.base_model.layers[0].mlp
    layer.register_forward_pre_hook(lambda *_: calls.append(1))
    model.train()
    sum(model.calculate_loss(first_rows(prepared.train, 4))).backward()
    assert len(calls) == 2 * 2  # two tasks, each read again for its gradient
    found, losses, _ = gradients(prepared, gradient_checkpointing=True)
    assert_close(torch.tensor(losses), torch.tensor(expected_losses), **CLOSE)
    for name, gradient in found.items():
        assert_close(gradient, expected[name], **CLOSE)


def test_an_epoch_reads_every_window_once_in_company_of_its_length(prepared):
    model = make_model(prepared)
    trainer = make_trainer(prepared, model)
    batches, loss_of = [], model.calculate_loss

    def watched(batch):
        batches.append(batch)
        return loss_of(batch)

    model.calculate_loss = watched
    trainer._train_epoch(prepared.train, 0)
    dataset = prepared.train.dataset
    users = torch.cat([batch["user_id"] for batch in batches])
    windows = dataset[torch.arange(len(dataset))]
    assert torch.equal(users.sort().values, windows["user_id"].sort().values)
    assert len(batches) == len(prepared.train)
    spread = [float(batch["item_length"].float().std()) for batch in batches[:-1]]
    assert sum(spread) / len(spread) < 0.5 * windows["item_length"].float().std()


def test_the_best_epoch_is_tested_and_tokenizes_as_ever(tiny_llm, planted, tmp_path, monkeypatch):
    """With all weights tuned; the weights that made the codes are kept beside the recommender's."""
    settings = store_settings(tiny_llm, planted, epochs=3, learning_rate=0.05, stopping_step=9)
    prepared = prepare({**settings, "checkpoint_dir": str(tmp_path)})
    model = make_model(prepared, semantic_ids=False)
    trainer = make_trainer(prepared, model)
    scores = iter([3.0, 1.0, 2.0])
    monkeypatch.setattr(trainer, "_valid_epoch", lambda *a, **k: (next(scores), {"ndcg@10": 0.0}))
    trainer.fit(prepared.train, prepared.valid, verbose=False)
    trainer.evaluate(prepared.test)
    best = torch.load(trainer.saved_model_file, weights_only=False)
    assert best["epoch"] == 0
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, best["state_dict"][name]), name
    assert torch.equal(
        model.item_tokenizer.tokenize(model.item_tokenizer.texts[1:]), model.semantic_ids[1:, :-1]
    )
    # The recommender's weights would have given other codes.
    model.backbone.copy_stage("recommender", "tokenizer")
    assert not torch.equal(
        model.item_tokenizer.tokenize(model.item_tokenizer.texts[1:]), model.semantic_ids[1:, :-1]
    )


def rates(n_steps: int, warmup_steps: int, decay_after: int | None) -> list[float]:
    """The learning rates of so many steps, at a base of 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule(optimizer, warmup_steps, decay_after)
    found = []
    for _ in range(n_steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
    return found


@pytest.mark.parametrize(
    ("warmup_steps", "decay_after", "expected"),
    [
        (0, None, [1, 1, 1, 1, 1]),
        (2, None, [1 / 2, 1, 1, 1, 1]),
        (0, 2, [1, 1, (2 / 3) ** 0.5, (2 / 4) ** 0.5, (2 / 5) ** 0.5]),
        (4, 4, [1 / 4, 2 / 4, 3 / 4, 1, (4 / 5) ** 0.5]),
    ],
)
def test_learning_rates_rise_and_fall(warmup_steps, decay_after, expected):
    assert rates(5, warmup_steps, decay_after) == pytest.approx(expected)


def test_learning_rates_fall_to_a_share_by_the_last_step():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule(optimizer, 0, None, n_steps=4, final_share=0.2)
    found = []
    for _ in range(6):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
    assert found == pytest.approx([1, 0.8, 0.6, 0.4, 0.2, 0.2])


def test_stage_2_ends_at_the_final_rates(prepared):
    """Of both groups; stage 1 keeps its own."""
    changes = {"epochs": 2, "warmup_steps": 3}
    model = make_model(prepared, semantic_ids=False, **changes)
    trainer = make_trainer(prepared, model, **changes)
    stage_1 = []
    build = trainer._build_optimizer

    def spy(**kwargs):
        if "params" in kwargs:
            stage_1.append(build(**kwargs))
            return stage_1[0]
        return build(**kwargs)

    trainer._build_optimizer = spy
    trainer.fit(prepared.train, prepared.valid, verbose=False)
    now = [group["lr"] for group in trainer.optimizer.param_groups]
    assert now == pytest.approx([0.1 * rate for rate in model.learning_rates])
    if stage_1:  # else the stage was cached
        assert stage_1[0].param_groups[0]["lr"] == prepared.config["tokenizer_learning_rate"]


def test_adafactor_is_offered(prepared):
    model = make_model(prepared, learner="adafactor")
    optimizer = make_trainer(prepared, model, learner="adafactor")._build_optimizer()
    assert isinstance(optimizer, torch.optim.Adafactor)
    rates = [group["lr"] for group in optimizer.param_groups]
    assert rates == [prepared.config["learning_rate"], prepared.config["code_learning_rate"]]
