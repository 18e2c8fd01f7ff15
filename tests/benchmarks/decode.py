"""Constrained beam search against Hugging Face's ``generate`` with a prefix function.

The way LC-Rec, LETTER and MiniOneRec decode: beams as rows, each with its own copy of the prompt's
cache, the LLM's whole vocabulary scored at each step, and one Python call a beam. Same weights,
same prompts, same normalisation; the top-10 items are compared in the benchmark itself.
"""

from __future__ import annotations

import torch
from machine import alternate, figures_to_file
from torch import nn
from transformers import LogitsProcessor, LogitsProcessorList, PrefixConstrainedLogitsProcessor

from recbole_store.generator.beam_search import Beams, beam_search
from recbole_store.generator.code_tokens import CodeVocabulary
from recbole_store.generator.code_trie import CodeTrie
from recbole_store.generator.tree_decoder import TreeDecoder
from recbole_store.llm.backbone import Backbone
from recbole_store.llm.loading import load

LLM, LAYERS = "smollm2-135m", 4
N_ITEMS, N_LEVELS, CODEBOOK = 12_000, 4, 256
OUR_USERS, THEIR_USERS, THEIR_BATCH = 64, 4, 2
PROMPTS, BEAMS = (120, 200), (10, 20, 50)
TIE = 1e-5


class Setting:
    """The LLM with random code embeddings and heads, and a random catalogue."""

    def __init__(self):
        torch.manual_seed(0)
        codes = torch.randint(CODEBOOK, (2 * N_ITEMS, N_LEVELS)).unique(dim=0)
        self.codes = codes[torch.randperm(len(codes))[:N_ITEMS]]
        self.trie = CodeTrie(self.codes, torch.arange(N_ITEMS))
        self.backbone = Backbone(LLM, LAYERS, "frozen", "fp32", {}, "cpu").eval()
        width = self.backbone.hidden_size
        self.vocabulary = CodeVocabulary([CODEBOOK] * N_LEVELS)
        self.table = nn.Embedding(len(self.vocabulary), width)
        nn.init.normal_(self.table.weight, std=self.backbone.word_norm / width**0.5)
        self.heads = nn.ModuleList(nn.Linear(width, CODEBOOK, bias=False) for _ in range(N_LEVELS))
        for head in self.heads:
            nn.init.normal_(head.weight, std=0.05)

    def embed(self, codes: torch.Tensor) -> torch.Tensor:
        return self.table(self.vocabulary.code_token_ids(codes))

    def histories(self, n_tokens: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(n_tokens)
        items = torch.randint(N_ITEMS, (OUR_USERS, n_tokens // N_LEVELS), generator=generator)
        return self.codes[items]

    def ours(self, histories: torch.Tensor, num_beams: int) -> Beams:
        lengths = torch.full((len(histories),), histories.size(1))
        no_prompt = torch.zeros(0, self.backbone.hidden_size)
        read = self.embed(histories)
        decoder = TreeDecoder(self.backbone, self.embed, self.heads, no_prompt, read, lengths)
        return beam_search(decoder, self.trie, num_beams)


class LevelThenTree(LogitsProcessor):
    """A softmax over the codes of the level, as ours is; then the tree, one Python call a beam.

    Args:
        n_tokens: of the prompt.
        first_codes: token ids of each level's first code.
    """

    def __init__(self, n_tokens: int, first_codes: list[int], num_beams: int, allowed):
        self.n_tokens, self.first_codes = n_tokens, first_codes
        self.tree = PrefixConstrainedLogitsProcessor(allowed, num_beams)

    def __call__(self, input_ids, scores):
        first = self.first_codes[input_ids.size(1) - self.n_tokens]
        of_level = scores[:, first : first + CODEBOOK]
        return self.tree(input_ids, scores - of_level.logsumexp(-1, keepdim=True))


class Generate:
    """The same weights as a Hugging Face model whose vocabulary holds the codes."""

    def __init__(self, setting: Setting):
        self.llm, _ = load(LLM, LAYERS)
        words = self.llm.get_input_embeddings().weight.data
        self.first_code = len(words)
        heads = torch.cat([head.weight.data for head in setting.heads])
        self.llm.config.tie_word_embeddings = False
        self.llm.config.vocab_size = self.first_code + len(heads)
        inputs = torch.cat([words, setting.table.weight.data])
        self.llm.set_input_embeddings(nn.Embedding.from_pretrained(inputs))
        output = nn.Linear(words.size(1), len(inputs), bias=False)
        output.weight.data = torch.cat([words, heads])
        self.llm.set_output_embeddings(output)
        self.llm.eval()
        self.offsets = setting.vocabulary.offsets + self.first_code
        self.item_of: dict[tuple, int] = {}
        self.follows: dict[tuple, list[int]] = {}
        for item, row in enumerate((setting.codes + self.offsets).tolist()):
            self.item_of[tuple(row)] = item
            for level in range(N_LEVELS):
                allowed = self.follows.setdefault(tuple(row[:level]), [])
                if row[level] not in allowed:
                    allowed.append(row[level])

    def __call__(self, histories: torch.Tensor, num_beams: int) -> Beams:
        prompt = (histories + self.offsets).flatten(1)
        n_users, n_tokens = prompt.shape
        processor = LevelThenTree(
            n_tokens,
            self.offsets.tolist(),
            num_beams,
            lambda _, ids: self.follows[tuple(ids[n_tokens:].tolist())],
        )
        found = self.llm.generate(
            input_ids=prompt,
            attention_mask=torch.ones_like(prompt),
            num_beams=num_beams,
            num_return_sequences=num_beams,
            min_new_tokens=N_LEVELS,
            max_new_tokens=N_LEVELS,
            do_sample=False,
            logits_processor=LogitsProcessorList([processor]),
            length_penalty=0.0,
            pad_token_id=0,
            eos_token_id=None,
            return_dict_in_generate=True,
            output_scores=True,
        )
        items = [self.item_of[tuple(row)] for row in found.sequences[:, n_tokens:].tolist()]
        log_probs = found.sequences_scores.view(n_users, num_beams)
        return Beams(torch.tensor(items).view(n_users, num_beams), log_probs, log_probs[:, -1])


def same_top(ours: Beams, theirs: Beams, k: int) -> float:
    """Share of users with the same first k items in the same order, ties aside."""
    same = ours.item_ids[:, :k] == theirs.item_ids[:, :k]
    tied = torch.zeros_like(same)
    gap = theirs.log_probs[:, :k].diff(dim=1).abs() < TIE
    tied[:, 1:] |= gap
    tied[:, :-1] |= gap
    close = (ours.log_probs[:, :k] - theirs.log_probs[:, :k]).abs() < TIE
    return float(((same | tied) & close).all(1).float().mean())


@torch.no_grad()
def measure() -> dict[str, float]:
    setting = Setting()
    generate = Generate(setting)
    figures, same = {}, []
    for n_tokens in PROMPTS:
        histories = setting.histories(n_tokens)
        for num_beams in BEAMS:

            def ours(histories=histories, num_beams=num_beams):
                return setting.ours(histories, num_beams)

            def theirs(histories=histories, num_beams=num_beams):
                parts = histories[:THEIR_USERS].split(THEIR_BATCH)
                found = [generate(part, num_beams) for part in parts]
                return Beams(*(torch.cat(part) for part in zip(*found, strict=True)))

            we, they = alternate(ours, theirs, rounds=1)
            we, they = we / OUR_USERS, they / THEIR_USERS
            name = f"k{num_beams}_t{n_tokens}"
            figures[f"decode_speedup_vs_hf_generate_{name}"] = they / we
            figures[f"decode_ms_per_user_{name}"] = 1000 * we
            first = Beams(*(part[:THEIR_USERS] for part in ours()))
            same.append(same_top(first, theirs(), 10))
    figures["decode_same_top10"] = sum(same) / len(same)
    return figures


if __name__ == "__main__":
    figures_to_file(measure)
