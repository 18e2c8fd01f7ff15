"""STORE's parts as RecBole sees them: what trains, the losses, the scores."""

from __future__ import annotations

import logging
import random

import pytest
import torch
import torch.nn.functional as F
from planted_store import (
    first_rows,
    histories_of,
    made_up_ids,
    make_model,
    make_trainer,
    naive_log_prob,
    prepare,
    store_settings,
    working_in,
    write_labelled,
)
from recbole.utils import get_flops, init_seed
from torch.testing import assert_close
from transformers import AutoModelForCausalLM

from recbole_store.generator.code_tokens import HEAD_NORM
from recbole_store.model import semantic_id_model
from recbole_store.model.alignment import Parts
from recbole_store.tokenizer.losses import tokenizer_losses

CLOSE = {"rtol": 1e-5, "atol": 1e-5}
STAGES = ("tokenizer", "recommender")
FEW_USERS = {"user_inter_num_interval": "[12,inf)"}


@pytest.fixture(scope="module")
def prepared(tiny_llm, planted, tmp_path_factory):
    with working_in(tmp_path_factory.mktemp("prepared")):
        yield prepare(store_settings(tiny_llm, planted, **FEW_USERS))


@pytest.fixture(scope="module")
def untrained(prepared):
    """Made-up semantic IDs, random codes, ready to score."""
    return make_model(prepared).eval()


@pytest.fixture(autouse=True)
def _same_ids_everywhere(prepared):
    """The data set's table is shared; each test starts from the made-up IDs."""
    yield
    prepared.train.dataset.semantic_ids.zero_()


@pytest.fixture
def model(prepared, untrained):
    untrained.set_semantic_ids(made_up_ids(untrained))
    return untrained


class Calls:
    """Shapes [rows, positions] of all forward passes of the LLM while it is open."""

    def __init__(self, model):
        self.backbone, self.shapes = model.backbone, []

    def __enter__(self):
        self.handle = self.backbone.register_forward_pre_hook(
            lambda _, args: self.shapes.append(tuple(args[0].shape[:2]))
        )
        return self.shapes

    def __exit__(self, *_):
        self.handle.remove()


# --- what trains ----------------------------------------------------------------------------


def may_train(name: str, tuning: str, stage: str) -> bool:
    """Adapters or layers of the LLM, never its words; the new parts of the stage."""
    if "embed_tokens" in name or "lm_head" in name:
        return False
    if ".lora_" in name:
        return tuning == "lora" and f".{stage}." in name
    if name.startswith("backbone."):
        return tuning == "full"
    if name.startswith("item_tokenizer.slots."):
        return stage == "tokenizer"
    assert name.startswith("code_tokens."), f"Which stage trains {name}?"
    return stage == "recommender"


def loss_of_stage(model, stage: str, batch):
    if stage == "recommender":
        return sum(model.calculate_loss(batch))
    pieces = [model.item_tokenizer.fields[item] for item in (3, 14, 15, 26)]
    return tokenizer_losses(
        model.item_tokenizer.slots,
        model.backbone,
        pieces,
        model.item_tokenizer.token_texts.vocabulary,
        positives=None,
        token_to_text_weight=1.0,
        contrastive_weight=1.0,
        rng=random.Random(0),
    ).total


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("tuning", ["lora", "full", "frozen"])
def test_a_stage_trains_what_it_may_and_nothing_else(prepared, tuning, stage):
    changes = {"tuning": tuning, "align_weight": 0.5}
    model = make_model(prepared, **changes)
    trainer = make_trainer(prepared, model, **changes)
    batch = first_rows(prepared.train, 32)
    model.train()
    model.backbone.use_stage(stage)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    had_gradient = set()
    if stage == "recommender":
        optimizer = trainer._build_optimizer()
    else:
        model.item_tokenizer.slots.requires_grad_(True)  # as the stage does
        trained = [weight for _, weight in model.item_tokenizer.trainable()]
        optimizer = trainer._build_optimizer(params=trained, learning_rate=0.01)
    for _ in range(2):  # an adapter's second half starts at 0 and shields the first for one step
        optimizer.zero_grad()
        loss_of_stage(model, stage, batch).backward()
        had_gradient |= {
            name
            for name, weight in model.named_parameters()
            if weight.grad is not None and weight.grad.abs().max() > 0
        }
        optimizer.step()
    changed = {name for name, w in model.named_parameters() if not torch.equal(w, before[name])}
    expected = {name for name in before if may_train(name, tuning, stage)}
    assert expected
    assert had_gradient == expected
    assert changed == expected
    optimized = {id(w) for group in optimizer.param_groups for w in group["params"]}
    assert {name for name, w in model.named_parameters() if id(w) in optimized} == expected


def test_llm_and_codes_have_learning_rates_of_their_own(prepared):
    changes = {"learning_rate": 0.001, "code_learning_rate": 0.02}
    model = make_model(prepared, **changes)
    groups = make_trainer(prepared, model, **changes)._build_optimizer().param_groups
    llm = {id(weight) for weight in model.backbone.parameters()}
    rates = {group["lr"]: {id(weight) in llm for weight in group["params"]} for group in groups}
    assert rates == {0.001: {True}, 0.02: {False}}


def stored_numbers(state: dict) -> int:
    """How many numbers tensors hold, shared ones counted once."""
    storages = {}
    for tensor in state.values():
        storages[tensor.untyped_storage().data_ptr()] = tensor.numel()
    return sum(storages.values())


@pytest.mark.parametrize("tuning", ["lora", "full"])
def test_there_is_one_copy_of_the_llm(prepared, tiny_llm, tuning, tmp_path):
    model = make_model(prepared, tuning=tuning)
    llm = AutoModelForCausalLM.from_pretrained(tiny_llm)
    width, layers = llm.config.hidden_size, llm.config.num_hidden_layers
    expected = llm.num_parameters()
    if tuning == "lora":
        # Rank 4 beside q and o (32 to 32), k and v (32 to 16), in each stage's adapter.
        expected += 2 * layers * 4 * (2 * (32 + 32) + 2 * (32 + 16))
    expected += 2 * len(model.code_tokens.vocabulary) * width  # code embeddings and heads
    expected += (len(model.item_tokenizer.sizes) - 1) * width
    buffers = [name for name, _ in model.named_buffers() if name in model.state_dict()]
    expected += sum(model.state_dict()[name].numel() for name in buffers)
    assert "item_tokenizer.semantic_ids" in buffers
    assert stored_numbers(model.state_dict()) == expected
    torch.save(model.state_dict(), tmp_path / "state.pt")
    assert stored_numbers(torch.load(tmp_path / "state.pt", weights_only=True)) == expected


# --- stage 1 in the model -------------------------------------------------------------------


@pytest.fixture(scope="module", params=["lora", "full"])
def finished(request, prepared, tmp_path_factory):
    """A finished run of one epoch a stage: model and checkpoint."""
    changes = {
        "tuning": request.param,
        "align_weight": 0.5,
        "learning_rate": 0.05,
        "tokenizer_learning_rate": 0.01,
    }
    with working_in(tmp_path_factory.mktemp("lora")) as _:
        model = make_model(prepared, semantic_ids=False, **changes)
        trainer = make_trainer(prepared, model, **changes)
        start = {name: w.clone() for name, w in model.state_dict().items()}
        trainer.fit(prepared.train, None, verbose=False, show_progress=False)
        checkpoint = torch.load(trainer.saved_model_file, weights_only=False)
    return changes, model, checkpoint, start


def test_a_finished_model_tokenizes_as_it_did(prepared, finished):
    changes, model, checkpoint, _ = finished
    codes = model.semantic_ids[1:, :-1]
    assert len(codes.unique(dim=0)) > 20
    assert torch.equal(model.item_tokenizer.tokenize(model.item_tokenizer.texts[1:]), codes)

    init_seed(77, True)
    loaded = make_model(prepared, semantic_ids=False, **changes)
    loaded.load_state_dict(checkpoint["state_dict"])
    loaded.load_other_parameter(checkpoint["other_parameter"])
    assert torch.equal(loaded.semantic_ids, model.semantic_ids)
    assert torch.equal(loaded.item_tokenizer.tokenize(loaded.item_tokenizer.texts[1:]), codes)
    # Reading with the other stage's weights would have given other codes.
    loaded.backbone.copy_stage("recommender", "tokenizer")
    assert not torch.equal(loaded.item_tokenizer.tokenize(loaded.item_tokenizer.texts[1:]), codes)


@pytest.mark.parametrize("finished", ["lora"], indirect=True)
def test_a_lora_checkpoint_has_both_adapters_and_the_llm_s_own_weights(finished):
    _, _, checkpoint, start = finished
    state = checkpoint["state_dict"]
    changed = {name for name, weight in state.items() if not torch.equal(weight, start[name])}
    for stage in STAGES:
        adapter = {name for name in state if f".{stage}." in name and "lora_" in name}
        assert len(adapter) == 2 * 4 * 2  # layers x projections x (A, B)
        assert adapter <= changed
    llm = {name for name in state if name.startswith("backbone.") and "lora_" not in name}
    assert llm
    assert not llm & changed
    first, second = (
        {name.replace(stage, "") for name in state if f".{stage}." in name} for stage in STAGES
    )
    assert first == second
    assert any(
        not torch.equal(state[name], state[name.replace(".tokenizer.", ".recommender.")])
        for name in state
        if ".tokenizer." in name
    )


def test_the_recommender_s_adapter_starts_from_the_tokenizer_s(prepared):
    changes = {"tuning": "lora", "tokenizer_learning_rate": 0.01}
    model = make_model(prepared, semantic_ids=False, **changes)
    make_trainer(prepared, model, **changes).tokenize_items(prepared.train.dataset)
    state = model.state_dict()
    adapter = [name for name in state if ".tokenizer." in name]
    assert adapter
    for name in adapter:
        assert state[name].abs().max() > 0
        assert torch.equal(state[name], state[name.replace(".tokenizer.", ".recommender.")])


def test_stage_1_leaves_no_gradient_behind(prepared, monkeypatch, tmp_path):
    """Stage 2 clips by the norm over all parameters, also those that only stage 1 trains."""
    monkeypatch.setenv("RECBOLE_STORE_CACHE", str(tmp_path))  # so that it does train
    model = make_model(prepared, semantic_ids=False)
    make_trainer(prepared, model).tokenize_items(prepared.train.dataset)
    assert not model.tokenizer_report["tokenizer_cached"]
    left = [n for n, w in model.named_parameters() if w.grad is not None and w.grad.any()]
    assert left == []


def test_codes_start_from_the_mean_dense_tokens_of_their_items(prepared):
    """Checked on the tokenizer's real result, mean by mean."""
    model = make_model(prepared, semantic_ids=False)
    random_start = model.code_tokens.embedding.weight.detach().clone()
    random_heads = [head.weight.detach().clone() for head in model.code_tokens.heads]
    make_trainer(prepared, model).tokenize_items(prepared.train.dataset)
    dense = model.item_tokenizer.quantizer_inputs(model.item_tokenizer.texts[1:])
    used = 0
    for level in range(len(model.item_tokenizer.sizes) - 1):
        centred = dense[:, level] - dense[:, level].mean(0)
        for code in range(model.item_tokenizer.sizes[0]):
            carriers = model.semantic_ids[1:, level] == code
            embedding = model.code_tokens.embedding.weight[
                level * model.item_tokenizer.sizes[0] + code
            ]
            head = model.code_tokens.heads[level].weight[code]
            if carriers.any():
                direction = F.normalize(centred[carriers].mean(0), dim=0)
                assert_close(embedding, direction * model.backbone.word_norm, **CLOSE)
                assert_close(head, direction * HEAD_NORM, **CLOSE)
                used += 1
    assert used > model.item_tokenizer.sizes[0]
    # The disambiguation level means nothing: it keeps its random start.
    last = (len(model.item_tokenizer.sizes) - 1) * model.item_tokenizer.sizes[0]
    assert torch.equal(model.code_tokens.embedding.weight[last:], random_start[last:])
    assert torch.equal(model.code_tokens.heads[-1].weight, random_heads[-1])


def test_codes_without_items_keep_their_random_start(prepared):
    model = make_model(prepared)
    before = model.code_tokens.embedding.weight.detach().clone()
    means = torch.zeros(
        (len(model.item_tokenizer.sizes) - 1),
        model.item_tokenizer.sizes[0],
        model.backbone.hidden_size,
    )
    counts = torch.zeros((len(model.item_tokenizer.sizes) - 1), model.item_tokenizer.sizes[0])
    means[1, 5, 3], counts[1, 5] = -0.25, 2
    model.code_tokens.start_from(means, counts)
    row = model.item_tokenizer.sizes[0] + 5
    expected = torch.zeros(model.backbone.hidden_size)
    expected[3] = -model.backbone.word_norm
    assert_close(model.code_tokens.embedding.weight[row].detach(), expected, **CLOSE)
    others = torch.arange(len(before)) != row
    assert torch.equal(model.code_tokens.embedding.weight[others], before[others])


@torch.no_grad()
def test_a_code_is_read_with_those_before_it(model):
    """Each input is the sum of its prefix's embeddings, whose length such sums do not change."""
    codes = torch.tensor([[3, 7, 1], [3, 2, 1]])
    inputs = model.code_tokens(codes)
    size, rows = model.item_tokenizer.sizes[0], model.code_tokens.embedding.weight
    expected = (rows[3] + rows[size + 7] + rows[2 * size + 1]) / 3**0.5
    assert_close(inputs[0, 2], expected, **CLOSE)
    assert_close(inputs[:, 0], rows[[3, 3]], **CLOSE)
    for level in range(3):
        assert_close(model.code_tokens(codes[:, :level]), inputs[:, :level], **CLOSE)


# --- losses ---------------------------------------------------------------------------------


def next_item_losses(model, history: list[int], target: int) -> list[float]:
    """Per code of the target: minus its log-probability, by a forward pass of its own."""
    ids = model.semantic_ids
    prompt = model.backbone.embed(model.history_prompt)
    past = torch.cat([prompt, model.code_tokens(ids[history]).flatten(0, 1)])
    losses = []
    for level, head in enumerate(model.code_tokens.heads):
        inputs = torch.cat([past, model.code_tokens(ids[target, :level])])
        logits = head(model.backbone(inputs[None])[0, -1])
        losses.append(-logits.log_softmax(0)[ids[target, level]].item())
    return losses


def averaged(model, losses: list[float], n_rows: int) -> torch.Tensor:
    """Sum over the codes of as many targets as ``n_rows`` windows of the data have on average."""
    return torch.tensor(losses).sum() / (n_rows * model.targets_per_row * 3)


def test_averaged_over_an_epoch_each_target_weighs_the_same(prepared, model):
    rows = first_rows(prepared.train, len(prepared.train.dataset))
    assert model.targets_per_row == pytest.approx(rows["item_length"].float().mean().item())


@torch.no_grad()
def test_a_window_s_loss_is_that_of_each_of_its_targets_in_turn(prepared, model):
    n_rows = 16  # two groups of similar length
    batch = first_rows(prepared.train, n_rows)
    losses = []
    for history, target in zip(*histories_of(prepared.train, n_rows), strict=True):
        items = [*history, target]
        for place in range(1, len(items)):
            losses += next_item_losses(model, items[:place], items[place])
    assert len(losses) == 3 * batch["item_length"].sum()
    assert len(batch["item_length"].unique()) > 2
    expected = averaged(model, losses, n_rows)
    assert_close(model.calculate_loss(batch), expected, **CLOSE)


@pytest.fixture
def only_last(model):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "only_last", True)
        patch.setattr(model, "targets_per_row", 1.0)
        yield model


@torch.no_grad()
def test_overlapping_rows_train_on_their_own_target_only(prepared, only_last):
    batch = first_rows(prepared.train, 6)
    losses = []
    for history, target in zip(*histories_of(prepared.train, 6), strict=True):
        losses += next_item_losses(only_last, history, target)
    assert_close(only_last.calculate_loss(batch), torch.tensor(losses).mean(), **CLOSE)


def test_benchmark_rows_train_on_their_own_target_only(tiny_llm, planted, tmp_path):
    """Benchmark files come as one row a target: read as windows, most would count twice."""
    folder = tmp_path / "data" / "rows"
    folder.mkdir(parents=True)
    (folder / "rows.item").write_text((planted / "planted" / "planted.item").read_text())
    names = [line.split("\t")[0] for line in (folder / "rows.item").read_text().split("\n")[1:-1]]
    header = "user_id:token\titem_id_list:token_seq\titem_id:token"
    for part, n_rows in (("train", 40), ("valid", 8), ("test", 8)):
        rng = random.Random(part)
        rows = []
        for row in range(n_rows):
            *history, target = rng.sample(names, 2 + row % 4)
            rows.append(f"u{row // 2}\t{' '.join(history)}\t{target}")
        (folder / f"rows.{part}.inter").write_text("\n".join([header, *rows]) + "\n")
    changes = {
        "benchmark_filename": ["train", "valid", "test"],
        "alias_of_item_id": ["item_id_list"],
        "load_col": {"inter": ["user_id", "item_id_list", "item_id"]},
        "codebook_size": 8,
    }
    prepared = prepare(store_settings(tiny_llm, tmp_path / "data", **changes), "rows")
    assert len(prepared.train.dataset) == 40
    model = make_model(prepared).eval()
    assert model.only_last
    losses = []
    with torch.no_grad():
        for history, target in zip(*histories_of(prepared.train, 6), strict=True):
            losses += next_item_losses(model, history, target)
        loss = model.calculate_loss(first_rows(prepared.train, 6))
    assert_close(loss, torch.tensor(losses).mean(), **CLOSE)


@torch.no_grad()
def test_rows_labelled_as_negative_do_not_train(prepared, model):
    """Negative sampling in training (``train_neg_sample_args``) appends rows with label 0."""
    batch = first_rows(prepared.train, 6)
    expected = model.calculate_loss(first_rows(prepared.train, 4))
    batch.interaction["label"] = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0, 0.0])
    assert_close(model.calculate_loss(batch), expected, **CLOSE)
    batch.interaction["label"] = torch.zeros(6)
    assert model.calculate_loss(batch) == 0


def test_labelled_data_train_on_every_target_labelled_1(tiny_llm, planted, tmp_path):
    """A label belongs to one target, not to the window that ends with it."""
    columns = {"load_col": {"inter": ["user_id", "item_id", "timestamp", "label"]}}
    changes = {"LABEL_FIELD": "label", **columns, **FEW_USERS}
    (tmp_path / "data").mkdir()
    data_path = write_labelled(planted, tmp_path / "data")
    prepared = prepare(store_settings(tiny_llm, data_path, **changes))
    model = make_model(prepared).eval()
    batch = first_rows(prepared.train, 12)
    losses = []
    with torch.no_grad():
        for row, (history, target) in enumerate(
            zip(*histories_of(prepared.train, 12), strict=True)
        ):
            items = [*history, target]
            labels = [*batch["label_list"][row, : len(history)], batch["label"][row]]
            for place in range(1, len(items)):
                if labels[place] > 0:
                    losses += next_item_losses(model, items[:place], items[place])
        assert 0 < (batch["label"] == 0).sum() < 12
        assert model.targets_per_row < batch["item_length"].float().mean()
        assert_close(model.calculate_loss(batch), averaged(model, losses, 12), **CLOSE)


def parts_of(model) -> Parts:
    tokenizer = model.item_tokenizer
    return Parts(model.backbone, model.code_tokens, tokenizer.token_texts, model.semantic_ids)


@torch.no_grad()
def test_align_loss_reads_the_text_and_then_each_code_in_turn(prepared):
    model = make_model(prepared, align_weight=0.5).eval()
    items = [5, 17, 42]
    losses = []
    for item in items:
        words = model.backbone.tokenize([model.item_tokenizer.texts[item]]).ids[0]
        words = model.backbone.embed(torch.cat([words, model.alignment.prompt]))
        codes = model.semantic_ids[item]
        for level, head in enumerate(model.code_tokens.heads):
            inputs = torch.cat([words, model.code_tokens(codes[:level])])
            logits = head(model.backbone(inputs[None])[0, -1])
            losses.append(-logits.log_softmax(0)[codes[level]])
    found = model.alignment.loss(parts_of(model), items)
    assert_close(found, torch.stack(losses).mean(), **CLOSE)


@pytest.mark.parametrize(("align_weight", "calls"), [(0, 1), (0.5, 2)])
def test_a_weight_of_zero_skips_the_task(prepared, align_weight, calls):
    model = make_model(prepared, align_weight=align_weight)
    with Calls(model) as shapes:
        loss = model.calculate_loss(first_rows(prepared.train, 8))
    assert len(shapes) == calls
    assert (len(loss) if isinstance(loss, tuple) else 1) == calls


@pytest.mark.parametrize("share", [None, 0.5])
def test_text_to_token_sees_that_share_of_the_items_in_an_epoch(prepared, share):
    model = make_model(prepared, align_weight=1.0, text_task_share=share)
    seen = []
    model.alignment.loss = lambda parts, items: seen.extend(items) or torch.zeros(())
    model.next_item_loss = lambda *_: torch.zeros(())
    epochs = 1 if share is None else 2
    for _ in range(epochs):
        for batch in prepared.train:
            model.calculate_loss(batch)
    counts = torch.bincount(torch.tensor(seen), minlength=model.n_items)
    assert counts[0] == 0
    assert (counts[1:] >= 1).float().mean() > 0.9
    assert counts.max() <= 2
    assert len(seen) < 1.4 * (model.n_items - 1)


# --- scores ---------------------------------------------------------------------------------


def candidates_of(loader, n_rows: int, items: list[int]):
    """Rows as RecBole's sampled evaluation makes them: each history with each candidate."""
    batch = loader.dataset[torch.arange(n_rows)].repeat_interleave(len(items))
    batch.interaction["item_id"] = torch.tensor(items * n_rows)
    return loader.transform(loader.dataset, batch)


def test_beam_search_predict_and_teacher_forcing_agree(prepared, model, monkeypatch):
    monkeypatch.setattr(model, "num_beams", 100)  # more than there are items
    n_rows, items = 5, list(range(1, model.n_items))
    scores = model.full_sort_predict(first_rows(prepared.train, n_rows))
    assert scores.shape == (n_rows, model.n_items)
    predicted = model.predict(candidates_of(prepared.train, n_rows, items)).view(n_rows, -1)
    assert_close(scores[:, 1:], predicted, **CLOSE)
    histories, _ = histories_of(prepared.train, n_rows)
    with torch.no_grad():
        for row in (0, 3):
            expected = naive_log_prob(model, histories[row], items)
            assert_close(predicted[row], expected, **CLOSE)
    assert predicted.std(dim=1).min() > 1e-2


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_fused_lists_know_when_they_are_exact(tiny_llm, planted, tmp_path, monkeypatch, share):
    """Users for whom lists of few items are said to be exact have those of scoring every item."""
    with working_in(tmp_path):
        changes = {"item_vector_size": 16, "item_head_weight": 1.0, "item_head_share": share}
        prepared = prepare(store_settings(tiny_llm, planted, **changes))
        model = make_model(prepared).eval()
    n_rows, k, items = 40, 2, list(range(1, model.n_items))
    every = model.predict(candidates_of(prepared.train, n_rows, items)).view(n_rows, -1)
    assert model.item_head is not None
    shares = []
    for num_beams in (4, 16, 40):
        monkeypatch.setattr(model, "num_beams", num_beams)
        found = model.recommend(first_rows(prepared.train, n_rows))
        sure = found.is_exact(k)
        assert_close(found.log_probs[sure, :k], every.topk(k).values[sure], **CLOSE)
        shares.append(sure.float().mean())
    assert shares[0] < 1 and shares[-1] > 0 and shares == sorted(shares)


def test_exact_decoding_ranks_as_scoring_every_item_does(prepared, model, monkeypatch):
    """With so few beams that beam search alone misses items."""
    n_rows, k, items = 40, 5, list(range(1, model.n_items))
    monkeypatch.setattr(model, "num_beams", k)
    monkeypatch.setattr(model, "max_topk", k)
    batch = first_rows(prepared.train, n_rows)
    every = model.predict(candidates_of(prepared.train, n_rows, items)).view(n_rows, -1)
    best = every.topk(k)
    plain = model.recommend(batch)
    assert not plain.is_exact(k).all()
    monkeypatch.setattr(model, "decoding", "exact")
    exact = model.recommend(batch)
    assert exact.is_exact(k).all()
    assert_close(exact.log_probs, best.values, **CLOSE)
    assert (exact.item_ids == best.indices + 1).float().mean() > 0.95  # but for near ties
    assert (plain.log_probs < best.values - 1e-4).any()  # else the test says nothing
    dense = model.full_sort_predict(batch)
    assert torch.equal(dense.topk(k).indices, exact.item_ids)


def test_a_batch_scores_as_its_rows_alone(prepared, model):
    n_rows = 5
    batch = first_rows(prepared.train, n_rows)
    assert len(batch["item_length"].unique()) > 1
    together = model.full_sort_predict(batch)
    predicted = model.predict(batch)
    for row in range(n_rows):
        alone = first_rows(prepared.train, n_rows)[row : row + 1]
        assert_close(model.full_sort_predict(alone)[0], together[row], **CLOSE)
        assert_close(model.predict(alone)[0], predicted[row], **CLOSE)


def test_few_users_a_prefill_give_the_same_scores(prepared, model, monkeypatch):
    batch = first_rows(prepared.train, 7)
    candidates = candidates_of(prepared.train, 7, [4, 9, 1])
    candidates = candidates[torch.randperm(21)]
    expected = model.full_sort_predict(batch), model.predict(candidates)
    monkeypatch.setattr(semantic_id_model, "USERS_PER_PREFILL", 2)
    with Calls(model) as shapes:
        assert_close(model.full_sort_predict(batch), expected[0], **CLOSE)
        assert_close(model.predict(candidates), expected[1], **CLOSE)
    assert max(rows for rows, _ in shapes) == 2


def test_rows_that_share_a_history_share_a_prefill(prepared, model):
    batch = candidates_of(prepared.train, 4, [7, 8, 9, 10, 11])
    batch = batch[torch.randperm(20)]  # neighbours or not
    with Calls(model) as shapes:
        model.predict(batch)
    longest = len(model.history_prompt) + int(batch["item_length"].max()) * 3
    assert shapes == [(4, longest), (4, 5), (4, 5)]


def test_users_with_different_numbers_of_candidates(prepared, model):
    batch = candidates_of(prepared.train, 3, [7, 8, 9, 10])
    kept = torch.tensor([0, 4, 5, 6, 7, 10])
    assert_close(model.predict(batch[kept]), model.predict(batch)[kept], **CLOSE)


def test_recbole_counts_the_operations_before_there_are_ids(prepared):
    """``run_recbole`` does so before training."""
    model = make_model(prepared, semantic_ids=False)
    transform = prepared.train.transform
    log = logging.getLogger("flops")
    assert get_flops(model, prepared.dataset, torch.device("cpu"), log, transform) > 0


def test_scores_need_semantic_ids(prepared):
    model = make_model(prepared, semantic_ids=False)
    with pytest.raises(RuntimeError, match="no semantic IDs yet"):
        model.full_sort_predict(first_rows(prepared.train, 2))


def test_batches_without_codes_are_looked_up(prepared, model):
    """RecBole's case studies skip the transform."""
    with_codes = first_rows(prepared.train, 3)
    without = prepared.train.dataset[torch.arange(3)]
    assert set(with_codes.interaction) > set(without.interaction)
    assert torch.equal(model.full_sort_predict(without), model.full_sort_predict(with_codes))


def test_data_tokenized_by_another_model_are_refused(prepared, model):
    batch = first_rows(prepared.train, 3)
    batch.interaction["semantic_id_item_id_list"][0, 0, 0] += 1
    with pytest.raises(RuntimeError, match="other semantic IDs"):
        model.full_sort_predict(batch)


# --- collisions -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def look_alikes(tiny_llm, planted, tmp_path_factory):
    """Six texts for sixty items, tokenized by the real stage 1."""
    changes = {"item_text": {"colour": "{}"}, "codebook_size": 6, "tokenizer_epochs": 0}
    with working_in(tmp_path_factory.mktemp("look_alikes")):
        prepared = prepare(store_settings(tiny_llm, planted, num_beams=60, **FEW_USERS, **changes))
        model = make_model(prepared, semantic_ids=False).eval()
        trainer = make_trainer(prepared, model)
        trainer.tokenize_items(prepared.train.dataset)
        yield prepared, model, trainer


def test_items_with_one_text_get_ids_and_scores_of_their_own(look_alikes):
    prepared, model, _ = look_alikes
    codes = model.semantic_ids[1:, :-1]
    assert len(codes.unique(dim=0)) == 6
    assert len(model.semantic_ids[1:].unique(dim=0)) == 60
    assert model.tokenizer_report["collision_rate"] == 1.0
    assert model.tokenizer_report["largest_group"] == 10
    for row in model.full_sort_predict(first_rows(prepared.test, 4)):
        assert len(row[1:].unique()) == 60


def test_a_look_alike_is_no_hit(look_alikes):
    """RecBole's Recall@1 is that of the very item; codes alone would count several times more."""
    prepared, model, trainer = look_alikes
    recall = trainer.evaluate(prepared.test, load_best_model=False, show_progress=False)
    n_rows = len(prepared.test.dataset)
    histories, targets = histories_of(prepared.test, n_rows)
    best = model.full_sort_predict(first_rows(prepared.test, n_rows))[:, 1:].argmax(1) + 1
    targets = torch.tensor(targets)
    hits = (best == targets).float().mean().item()
    code_hits = (model.semantic_ids[best, :-1] == model.semantic_ids[targets, :-1]).all(1)
    assert recall["recall@1"] == pytest.approx(hits, abs=1e-4)
    assert code_hits.float().mean() > hits + 0.05


def test_popular_items_come_first_among_look_alikes(look_alikes):
    prepared, model, _ = look_alikes
    seen = prepared.train.dataset.item_counter
    groups: dict[tuple, list[tuple[int, int]]] = {}
    for item in range(1, model.n_items):
        *codes, rank = model.semantic_ids[item].tolist()
        groups.setdefault(tuple(codes), []).append((rank, seen[item]))
    for group in groups.values():
        ranks, counts = zip(*sorted(group), strict=True)
        assert ranks == tuple(range(len(group)))
        assert list(counts) == sorted(counts, reverse=True)
