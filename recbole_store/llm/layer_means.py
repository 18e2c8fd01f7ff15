"""A frozen LLM's reading of texts: the mean states of some of its layers."""

from __future__ import annotations

import torch
from torch import Tensor

import recbole_store.processes.ranks as ranks
from recbole_store.llm.loading import load, quiet, read_config
from recbole_store.llm.precision import use_bf16
from recbole_store.llm.token_batches import TokenBatch
from recbole_store.processes.status import SILENT, Status

TEXTS_PER_PASS = 32


def layers_read(n_layers: int) -> tuple[int, int, int]:
    """The word embeddings, and the layers a quarter and half of the way up.

    No layer alone was better than another, but these three together found a tenth more than one,
    on what Amazon Beauty's validation users bought next.

    Example: of 30 layers (0, 8, 15); of one (0, 1, 1)
    """
    return 0, max((n_layers + 2) // 4, 1), max((n_layers + 1) // 2, 1)


class LayerMeans:
    """Texts -> mean states over their tokens, of three layers of a frozen LLM.

    In bfloat16 where the hardware has it: reading twelve thousand texts takes minutes otherwise. Of
    several processes, all of which must call it, each reads a share.

    Args:
        name: of the LLM, as :func:`recbole_store.llm.loading.load` takes it.
        device: to read on.

    Raises:
        BackboneError: the name leads to no causal LM.
    """

    def __init__(self, name: str, device="cpu"):
        n_layers = read_config(name, None).num_hidden_layers
        self.layers = layers_read(n_layers)
        # The last layer's states leave transformers behind the final norm: one more is loaded.
        llm, self.tokenizer = load(name, min(max(self.layers) + 1, n_layers))
        self.llm = llm.requires_grad_(False).eval().to(device)
        self.device = device
        self.bf16 = use_bf16("auto", torch.device(device))

    @torch.no_grad()
    def __call__(self, texts: list[str], max_tokens: int, status: Status = SILENT) -> Tensor:
        """Texts, cut to ``max_tokens`` -> fp32 [N, 3 * H]; layer by layer, H each."""
        eos = self.tokenizer.eos_token_id
        with quiet():
            rows = self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        words = TokenBatch.padded([row[:max_tokens] or [eos] for row in rows], eos, self.device)
        found = torch.zeros(len(texts), len(self.layers) * self.llm.config.hidden_size)
        groups = ranks.mine(torch.argsort(words.lengths).split(TEXTS_PER_PASS))
        status.begin("the LLM reads texts", {"texts": sum(len(places) for places in groups)})
        for places in groups:
            part = words.of_rows(places)
            with torch.autocast(part.ids.device.type, torch.bfloat16, enabled=self.bf16):
                states = self.llm.base_model(
                    input_ids=part.ids, output_hidden_states=True, use_cache=False
                ).hidden_states
            place = torch.arange(part.ids.size(1), device=self.device)
            real = (place[None] < part.lengths[:, None])[..., None]
            means = [(states[layer].float() * real).sum(1) / real.sum(1) for layer in self.layers]
            found[places.cpu()] = torch.cat(means, dim=1).cpu()
            status.step("texts", n=len(places))
        return ranks.sum_over_ranks(found)
