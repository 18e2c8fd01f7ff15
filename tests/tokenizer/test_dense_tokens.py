"""Stage 1 on the tiny LLM: dense tokens, reconstruction from them alone, contrastive terms."""

from __future__ import annotations

import math
import random

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from recbole_store.llm.backbone import Backbone
from recbole_store.tokenizer import losses as losses_module
from recbole_store.tokenizer.dense_tokens import TASK, DenseTokenizer
from recbole_store.tokenizer.losses import (
    collaborative_positives,
    contrastive_loss,
    slot_correlation,
    tokenizer_losses,
)
from recbole_store.tokenizer.text_views import drop_fields

CLOSE = {"rtol": 1e-5, "atol": 1e-5}
N_SLOTS = 3
TEXTS = ["red circle . blue", "green", "", "white star"]
FIELDS = [["red", "circle"], ["green"], ["blue", "star", "."], ["white", "moon"]]


@pytest.fixture(scope="module")
def backbone(tiny_llm) -> Backbone:
    return Backbone(str(tiny_llm), None, "frozen", "fp32", {}, "cpu").eval()


@pytest.fixture(scope="module")
def tokenizer(backbone) -> DenseTokenizer:
    torch.manual_seed(2)
    return DenseTokenizer(N_SLOTS, backbone.hidden_size, backbone.word_norm, max_tokens=8)


@pytest.fixture(scope="module")
def vocabulary(backbone) -> torch.Tensor:
    """Tokens of the texts above, and some that no text has."""
    every = backbone.tokenize([*TEXTS, *(" ".join(fields) for fields in FIELDS)]).ids.unique()
    return torch.cat([every, torch.tensor([every.max() + 1])])


def word_ids(backbone, text: str) -> torch.Tensor:
    """Word-piece ids of one text, unpadded."""
    words = backbone.tokenize([text])
    return words.ids[0, : words.lengths[0]]


@torch.no_grad()
def test_reading_a_text_then_vectors_equals_one_unpadded_pass(backbone):
    tail = torch.randn(len(TEXTS), 2, backbone.hidden_size)
    hidden = backbone.read_tokens_then(backbone.tokenize(TEXTS), tail)
    assert hidden.shape == (len(TEXTS), 3, backbone.hidden_size)
    for text, vectors, found in zip(TEXTS, tail, hidden, strict=True):
        inputs = torch.cat([backbone.embed(word_ids(backbone, text)), vectors])
        assert_close(found, backbone(inputs[None])[0, -3:], **CLOSE)


@torch.no_grad()
def test_dense_tokens_are_the_hidden_states_at_the_slots(backbone, tokenizer):
    dense = tokenizer(backbone, TEXTS)
    for text, found in zip(TEXTS, dense, strict=True):
        inputs = torch.cat([backbone.embed(word_ids(backbone, text)), tokenizer.slots])
        assert_close(found, backbone(inputs[None])[0, -N_SLOTS:], **CLOSE)
    assert (dense[0] - dense[1]).abs().max() > 1e-3


@torch.no_grad()
def test_texts_are_cut_to_max_tokens(backbone, tokenizer):
    long = "red circle . blue star . green moon"
    assert len(word_ids(backbone, long)) == tokenizer.max_tokens
    dense = tokenizer(backbone, [long, long + " heart", "pink " + long])
    assert_close(dense[0], dense[1], **CLOSE)
    assert (dense[0] - dense[2]).abs().max() > 1e-3


@torch.no_grad()
def test_reconstruction_equals_predicting_each_word_in_turn(backbone, tokenizer, vocabulary):
    dense = tokenizer(backbone, TEXTS)
    task = backbone.embed(word_ids(backbone, TASK))
    head = backbone.llm.get_output_embeddings().weight
    losses = []
    for text, tokens in zip(TEXTS, dense, strict=True):
        prefix = F.normalize(tokens, dim=-1) * backbone.word_norm
        ids = word_ids(backbone, text)
        for place, word in enumerate(ids):
            inputs = torch.cat([prefix, task, backbone.embed(ids[:place])])
            logits = head @ backbone(inputs[None])[0, -1]
            losses.append(logits[vocabulary].logsumexp(0) - logits[word])
    loss = tokenizer.reconstruction_loss(backbone, dense, TEXTS, vocabulary)
    assert_close(loss, torch.stack(losses).mean(), **CLOSE)


@torch.no_grad()
def test_two_passes_equal_one_pass_under_the_paper_s_mask(backbone, tokenizer, vocabulary):
    """LAMIA's: content and slots (LaP), their copies (LdP), then the task's words."""
    text = TEXTS[0]
    ids, task_ids = word_ids(backbone, text), word_ids(backbone, TASK)
    dense = tokenizer(backbone, [text])
    copies = F.normalize(dense[0], dim=-1) * backbone.word_norm
    words = backbone.embed(torch.cat([task_ids, ids[:-1]]))
    inputs = torch.cat([backbone.embed(ids), tokenizer.slots, copies, words])
    n_read, n_written = len(ids) + N_SLOTS, N_SLOTS + len(words)
    sees = torch.zeros(len(inputs), len(inputs), dtype=torch.bool)
    sees[:n_read, :n_read] = torch.ones(n_read, n_read).tril().bool()  # Content, LaP
    sees[n_read:, n_read:] = torch.ones(n_written, n_written).tril().bool()  # LdP, Task
    mask = torch.zeros(sees.shape).masked_fill(~sees, torch.finfo(torch.float32).min)
    positions = torch.cat([torch.arange(n_read), torch.arange(n_written)])
    hidden = backbone(inputs[None], mask=mask[None, None], positions=positions[None])[0]

    assert_close(hidden[len(ids) : n_read], dense[0], **CLOSE)
    logits = hidden[-len(ids) :] @ backbone.llm.get_output_embeddings().weight.T
    labels = torch.searchsorted(vocabulary, ids)
    expected = F.cross_entropy(logits[:, vocabulary], labels)
    loss = tokenizer.reconstruction_loss(backbone, dense, [text], vocabulary)
    assert_close(loss, expected, **CLOSE)


def test_reconstruction_sees_the_text_through_the_dense_tokens_only(
    backbone, tokenizer, vocabulary
):
    """What was read changes the loss by way of the dense tokens, and in no other way."""
    targets = ["red star", "green moon"]
    inputs_seen = []

    def loss_of(read: list[str], dense=None):
        dense = tokenizer(backbone, read) if dense is None else dense
        handle = backbone.register_forward_pre_hook(
            lambda _, args: inputs_seen.append(args[0].detach())
        )
        loss = tokenizer.reconstruction_loss(backbone, dense, targets, vocabulary)
        handle.remove()
        return loss, dense

    loss, dense = loss_of(["red star", "green moon"])
    same, _ = loss_of(["white heart", "pink"], dense)
    other, _ = loss_of(["white heart", "pink"])
    assert torch.equal(inputs_seen[0], inputs_seen[1])
    assert loss == same
    assert abs(loss - other) > 1e-5
    # The target word is not among the inputs it is predicted from.
    n_tokens = backbone.tokenize(targets).ids.size(1)
    n_task = len(word_ids(backbone, TASK))
    assert inputs_seen[0].size(1) == N_SLOTS + n_task + n_tokens - 1

    assert torch.autograd.grad(loss, tokenizer.slots)[0].abs().max() > 0
    cut, _ = loss_of(targets, dense.detach())
    assert not cut.requires_grad


def test_contrastive_loss_equals_a_loop():
    torch.manual_seed(0)
    first, second = torch.randn(4, 2, 6), torch.randn(4, 2, 6)
    total = 0.0
    for slot in range(2):
        cosine = F.cosine_similarity(first[:, None, slot], second[None, :, slot], dim=-1) / 0.3
        for item in range(4):
            total += cosine[item].logsumexp(0) - cosine[item, item]
            total += cosine[:, item].logsumexp(0) - cosine[item, item]
    assert_close(contrastive_loss(first, second, 0.3), total / 16, **CLOSE)


def test_contrastive_loss_is_lower_for_views_of_one_item():
    torch.manual_seed(0)
    first = torch.randn(8, 2, 16)
    second = first + 0.1 * torch.randn_like(first)
    matching = contrastive_loss(first, second, 0.1)
    assert matching < 0.1
    assert contrastive_loss(first, second.roll(1, dims=0), 0.1) > matching + 1
    assert contrastive_loss(first, second.flip(1), 0.1) > matching + 1  # slots mixed up


def test_contrastive_loss_with_shared_positives_equals_a_loop():
    torch.manual_seed(0)
    first, second = torch.randn(4, 2, 6), torch.randn(4, 2, 6)
    positives = torch.rand(4, 4).softmax(-1)
    total = 0.0
    for slot in range(2):
        cosine = F.cosine_similarity(first[:, None, slot], second[None, :, slot], dim=-1) / 0.3
        for item in range(4):
            for other in range(4):
                share = positives[item, other]
                total -= share * (cosine[item, other] - cosine[item].logsumexp(0))
                total -= share * (cosine[other, item] - cosine[:, item].logsumexp(0))
    assert_close(contrastive_loss(first, second, 0.3, positives), total / 16, **CLOSE)


def test_collaborative_positives_by_hand():
    factors = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    near, far = math.exp(1 / 0.5), 1.0  # cosines 1 and 0 at temperature 0.5
    total = near + 2 * far
    expected = torch.tensor(
        [
            [0.6 + 0.4 * near / total, 0.4 * far / total, 0.4 * far / total],
            [0.4 * far / total, 0.6 + 0.4 * near / total, 0.4 * far / total],
            [0.0, 0.0, 1.0],  # never seen with another item
        ]
    )
    assert_close(collaborative_positives(factors, 0.4, 0.5), expected, **CLOSE)
    assert_close(collaborative_positives(factors, 0.0, 0.5), torch.eye(3))


def test_slots_that_are_copies_correlate_fully():
    torch.manual_seed(0)
    slot = torch.randn(9, 1, 6)
    # A constant added to a slot says nothing of an item.
    copies = torch.cat([slot, slot + 3, -2 * slot], dim=1)
    assert_close(slot_correlation(copies), torch.tensor(1.0), **CLOSE)


def test_slots_that_share_no_direction_do_not_correlate():
    torch.manual_seed(0)
    dense = torch.zeros(9, 3, 6)
    for slot in range(3):
        dense[:, slot, 2 * slot : 2 * slot + 2] = torch.randn(9, 2)
    assert_close(slot_correlation(dense + 1), torch.tensor(0.0), **CLOSE)


def test_one_slot_has_nothing_to_correlate_with():
    assert slot_correlation(torch.randn(5, 1, 4)) == 0


def test_drop_fields_keeps_order_and_at_least_one():
    rng = random.Random(0)
    fields = ["a", "b", "c", "d"]
    views = [drop_fields(fields, 0.5, rng) for _ in range(200)]
    assert all(view and view == [p for p in fields if p in view] for view in views)
    assert len({tuple(view) for view in views}) == 15  # all but the empty one
    almost_all = [drop_fields(fields, 0.999, rng) for _ in range(50)]
    assert {len(view) for view in almost_all} == {1}
    assert {view[0] for view in almost_all} == set(fields)
    assert drop_fields(fields, 0.0, rng) == fields
    assert drop_fields([], 0.5, rng) == []


def losses_and_calls(backbone, tokenizer, vocabulary, *weights: float):
    """Stage 1's losses (reconstruction, contrast), and each call of the LLM."""
    calls = []
    handle = backbone.register_forward_pre_hook(lambda _, args: calls.append(args[0].shape[:2]))
    losses = tokenizer_losses(
        tokenizer,
        backbone,
        FIELDS,
        vocabulary,
        positives=None,
        token_to_text_weight=weights[0],
        contrastive_weight=weights[1],
        rng=random.Random(0),
    )
    handle.remove()
    return losses, calls


@torch.no_grad()
def test_weights_weigh_and_a_weight_of_zero_skips_the_work(
    backbone, tokenizer, vocabulary, monkeypatch
):
    monkeypatch.setattr(losses_module, "COLUMN_DROPOUT", 0.0)
    both, calls = losses_and_calls(backbone, tokenizer, vocabulary, 2.0, 3.0)
    assert [rows for rows, _ in calls] == [2 * len(FIELDS), len(FIELDS)]
    dense = tokenizer(backbone, [" ".join(fields) for fields in FIELDS])
    contrast = both.contrastive + losses_module.DECORRELATION * slot_correlation(dense)
    expected = 2 * both.reconstruction + 3 * contrast
    assert_close(both.total, expected, **CLOSE)

    rebuilt, calls = losses_and_calls(backbone, tokenizer, vocabulary, 1.0, 0.0)
    assert [rows for rows, _ in calls] == [len(FIELDS), len(FIELDS)]  # one view, one rebuilding
    assert_close(rebuilt.total, both.reconstruction, **CLOSE)
    assert rebuilt.contrastive == 0

    contrasted, calls = losses_and_calls(backbone, tokenizer, vocabulary, 0.0, 1.0)
    assert [rows for rows, _ in calls] == [2 * len(FIELDS)]
    assert_close(contrasted.total, contrast, **CLOSE)
    assert contrasted.reconstruction == 0


@torch.no_grad()
def test_the_whole_text_is_rebuilt_from_a_view_that_lost_fields(
    backbone, tokenizer, vocabulary, monkeypatch
):
    monkeypatch.setattr(losses_module, "COLUMN_DROPOUT", 0.9)
    losses, _ = losses_and_calls(backbone, tokenizer, vocabulary, 1.0, 1.0)
    views = [" ".join(drop_fields(p, 0.9, rng)) for rng in [random.Random(0)] for p in FIELDS]
    whole = [" ".join(fields) for fields in FIELDS]
    assert views != whole
    dense = tokenizer(backbone, views)
    expected = tokenizer.reconstruction_loss(backbone, dense, whole, vocabulary)
    assert_close(losses.reconstruction, expected, **CLOSE)
