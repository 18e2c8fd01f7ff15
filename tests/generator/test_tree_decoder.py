"""One prefill and a tree mask against running the whole sequence for each beam."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from recbole_store.generator.beam_search import WithPaths, beam_search, path_log_probs
from recbole_store.generator.code_tokens import CodeVocabulary
from recbole_store.generator.code_trie import CodeTrie
from recbole_store.generator.tree_decoder import TreeDecoder
from recbole_store.llm.backbone import Backbone

CLOSE = {"rtol": 1e-5, "atol": 1e-5}
SIZES = [5, 7, 4]
N_LEVELS = len(SIZES)
LENGTHS = torch.tensor([3, 1, 5, 2])
N_USERS, K = len(LENGTHS), 6


class CountingBackbone:
    """Passes everything on and keeps the shape of each call's inputs."""

    def __init__(self, backbone):
        self.backbone = backbone
        self.calls: list[tuple[int, ...]] = []

    def __call__(self, inputs, **kwargs):
        self.calls.append(tuple(inputs.shape))
        return self.backbone(inputs, **kwargs)

    def new_cache(self):
        return self.backbone.new_cache()


class Setup:
    """The tiny LLM with random code embeddings and heads, and four histories of mixed lengths."""

    def __init__(self, folder):
        torch.manual_seed(3)
        self.backbone = Backbone(str(folder), None, "frozen", "fp32", {}, "cpu").eval()
        width = self.backbone.hidden_size
        self.vocabulary = CodeVocabulary(SIZES)
        self.table = nn.Embedding(len(self.vocabulary), width)
        self.heads = nn.ModuleList(nn.Linear(width, size, bias=False) for size in SIZES)
        self.prompt = torch.randn(4, width)
        self.history = random_codes(N_USERS, int(LENGTHS.max()))

    def embed(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes [..., l] -> [..., l, H]: what is read for a code depends on those before it."""
        return self.table(self.vocabulary.code_token_ids(codes)).cumsum(-2)

    def decoder(self, backbone=None, history=None, lengths=LENGTHS) -> TreeDecoder:
        return TreeDecoder(
            backbone or self.backbone,
            self.embed,
            self.heads,
            self.prompt,
            self.embed(self.history if history is None else history),
            lengths,
        )

    def naive_logits(self, user: int, codes: list[int]) -> torch.Tensor:
        """Logits behind a user's history and some codes: one plain forward pass, no cache."""
        history = self.embed(self.history[user, : LENGTHS[user]]).flatten(0, 1)
        behind = self.embed(torch.tensor(codes, dtype=torch.long))
        hidden = self.backbone(torch.cat([self.prompt, history, behind])[None])
        return self.heads[len(codes)](hidden[0, -1])


def random_codes(*shape: int) -> torch.Tensor:
    """Codes [*shape, L]."""
    return torch.stack([torch.randint(size, shape) for size in SIZES], dim=-1)


@pytest.fixture(scope="module")
def setup(tiny_llm) -> Setup:
    return Setup(tiny_llm)


@pytest.fixture(autouse=True)
def _no_grad():
    torch.manual_seed(8)
    with torch.no_grad():
        yield


def random_beams() -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Parents and codes [B, K] that a beam search might pass at levels 1 and 2."""
    steps = []
    for level in range(1, N_LEVELS):
        parents = torch.randint(1 if level == 1 else K, (N_USERS, K))
        steps.append((parents, torch.randint(SIZES[level - 1], (N_USERS, K))))
    return steps


def test_steps_equal_naive_teacher_forcing(setup):
    decoder = setup.decoder()
    first = decoder(0, None, None)
    assert first.shape == (N_USERS, 1, SIZES[0])
    for user in range(N_USERS):
        assert_close(first[user, 0], setup.naive_logits(user, []), **CLOSE)

    prefixes = [[[]] for _ in range(N_USERS)]
    for level, (parents, codes) in enumerate(random_beams(), start=1):
        logits = decoder(level, parents, codes)
        assert logits.shape == (N_USERS, K, SIZES[level])
        for user in range(N_USERS):
            prefixes[user] = [
                prefixes[user][p] + [c]
                for p, c in zip(parents[user].tolist(), codes[user].tolist(), strict=True)
            ]
            for beam, prefix in enumerate(prefixes[user]):
                assert_close(logits[user, beam], setup.naive_logits(user, prefix), **CLOSE)


def test_the_comparison_can_fail(setup):
    """What a wrong mask, position or reorder would change is far above the tolerance."""
    last = setup.naive_logits(0, [1, 2])
    assert (last - setup.naive_logits(0, [3, 2])).abs().max() > 1e-3
    assert (last - setup.naive_logits(2, [1, 2])).abs().max() > 1e-3


def test_items_behind_a_history_s_length_mean_nothing(setup):
    other = setup.history.clone()
    for user, length in enumerate(LENGTHS.tolist()):
        other[user, length:] = random_codes(other.size(1) - length)
    other = torch.cat([other, random_codes(N_USERS, 3)], dim=1)
    assert not torch.equal(other[:, :5], setup.history)
    steps = [(None, None), *random_beams()]
    ours, theirs = setup.decoder(), setup.decoder(history=other)
    for level, step in enumerate(steps):
        assert_close(ours(level, *step), theirs(level, *step), **CLOSE)


def test_of_selected_users_everything_stays(setup):
    (parents, codes), *_ = random_beams()
    users = torch.tensor([2, 0])
    every, few = setup.decoder(), setup.decoder()
    few.item_seq = torch.tensor([[7], [8], [9]])
    few.select(users)
    assert few.item_seq.tolist() == [[9], [7]]
    assert_close(few(0, None, None), every(0, None, None)[users], **CLOSE)
    assert_close(few(1, parents[users], codes[users]), every(1, parents, codes)[users], **CLOSE)


def test_a_batch_equals_one_user_at_a_time(setup):
    steps = [(None, None), *random_beams()]
    together = setup.decoder()
    alone = [
        setup.decoder(history=setup.history[u : u + 1], lengths=LENGTHS[u : u + 1])
        for u in range(N_USERS)
    ]
    for level, (parents, codes) in enumerate(steps):
        logits = together(level, parents, codes)
        for user, decoder in enumerate(alone):
            of_user = (
                (None, None) if level == 0 else (parents[user : user + 1], codes[user : user + 1])
            )
            assert_close(decoder(level, *of_user)[0], logits[user], **CLOSE)


def test_one_prefill_then_one_token_a_beam_and_level(setup):
    counting = CountingBackbone(setup.backbone)
    item_codes = torch.cartesian_prod(*(torch.arange(size) for size in SIZES))
    trie = CodeTrie(item_codes, torch.arange(len(item_codes)) + 1)
    beam_search(setup.decoder(counting), trie, K)
    width = setup.backbone.hidden_size
    prefill = (N_USERS, 4 + int(LENGTHS.max()) * N_LEVELS, width)
    # Level 0 has fewer codes than there are beams.
    assert counting.calls == [prefill, (N_USERS, SIZES[0], width), (N_USERS, K, width)]


def test_candidates_share_the_prefill_too(setup):
    counting = CountingBackbone(setup.backbone)
    path_log_probs(setup.decoder(counting), random_codes(N_USERS, 9))
    assert [call[1] for call in counting.calls] == [4 + int(LENGTHS.max()) * N_LEVELS, 9, 9]


def test_paths_beside_a_search_cost_no_call_and_change_nothing(setup):
    counting = CountingBackbone(setup.backbone)
    item_codes = torch.cartesian_prod(*(torch.arange(size) for size in SIZES))
    trie = CodeTrie(item_codes, torch.arange(len(item_codes)) + 1)
    paths = random_codes(N_USERS, 9)
    step = WithPaths(setup.decoder(counting), paths)
    found = beam_search(step, trie, K)
    assert [call[1] for call in counting.calls[1:]] == [SIZES[0] + 9, K + 9]
    alone = beam_search(setup.decoder(), trie, K)
    assert torch.equal(found.item_ids, alone.item_ids)
    assert_close(found.log_probs, alone.log_probs, **CLOSE)
    assert_close(step.log_probs, path_log_probs(setup.decoder(), paths), **CLOSE)


def test_beam_search_on_the_decoder_equals_naive_log_likelihoods(setup):
    item_codes = torch.cartesian_prod(*(torch.arange(size) for size in SIZES))[::9]
    trie = CodeTrie(item_codes, torch.arange(len(item_codes)) + 1)
    beams = beam_search(setup.decoder(), trie, len(item_codes))
    items = item_codes.tolist()
    for user in (0, 1):
        for item_id, log_prob in zip(beams.item_ids[user], beams.log_probs[user], strict=True):
            codes = items[item_id - 1] if item_id else None
            if codes is None:
                assert log_prob == -torch.inf
                continue
            total = torch.zeros(())
            for level in range(N_LEVELS):
                logits = setup.naive_logits(user, codes[:level])
                total += logits.log_softmax(0)[codes[level]]
            assert_close(log_prob, total, **CLOSE)
        assert sorted(set(beams.item_ids[user].tolist()) - {0}) == list(range(1, len(items) + 1))
