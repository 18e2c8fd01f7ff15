"""One frozen text embedding an item, [N, H]: what all quantizers but the palette read.

A text is read once by an encoder that nothing here trains; the mean of the last hidden states over
its tokens, brought to length 1, is its embedding, as sentence-transformers' models have it.
"""

from __future__ import annotations

import hashlib
import json

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AutoConfig, AutoModel, AutoTokenizer
from transformers.utils import cached_file

import recbole_store.processes.ranks as ranks
from recbole_store.errors import BackboneError
from recbole_store.llm.loading import SAFELY, WEIGHTS_SAFELY, convert_gguf, quiet, refusals
from recbole_store.llm.model_files import (
    DEFAULT_BACKBONE,
    MINILM,
    locate,
    locate_encoder,
)
from recbole_store.llm.weight_checks import check_weights
from recbole_store.processes.status import SILENT, Status

TEXTS_PER_PASS = 64


class TextEncoder:
    """A frozen encoder.

    Args:
        name: hub name or local folder of an encoder of sentence-transformers (mean pooling) or
            of any transformer; ``all-minilm-l6-v2`` is embedded; None: the default LLM, whole.
        device: to read on.

    Raises:
        BackboneError: the name leads to no encoder, to one that is not pooled by the mean, or to
            one whose weights do not fit.
    """

    def __init__(self, name: str | None, device="cpu"):
        source, self.device = _source(name), device
        with quiet(), refusals(f"the text encoder `{name}`", source, _WANTED):
            _check_pooling(source, name)
            model, info = AutoModel.from_pretrained(source, dtype=torch.float32, **WEIGHTS_SAFELY)
            self.tokenizer = AutoTokenizer.from_pretrained(source, **SAFELY)
            if getattr(model, "pooler", None) is not None:
                model.pooler = None  # the mean is taken here, and many files lack its weights
            # Of an encoder-decoder such as T5 the encoder alone; its decoder may lack in the files.
            is_pair = hasattr(model, "encoder") and hasattr(model, "decoder")
            self.model = model.get_encoder() if is_pair else model
            check_weights(f"the text encoder `{name}`", self.model, model, info, _is_head_of(model))
            n_tokens = self.model.get_input_embeddings().num_embeddings
            if len(self.tokenizer) > n_tokens:
                raise BackboneError(
                    f"The tokenizer of the text encoder `{name}` has {len(self.tokenizer)} "
                    f"tokens, but the model has vectors for {n_tokens}: name a model that has its "
                    "own tokenizer."
                )
        self.model.requires_grad_(False).eval().to(device)
        if self.tokenizer.pad_token is None:  # an LLM's; what is padded is masked
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.tokenizer.padding_side = "right"

    @torch.no_grad()
    def __call__(self, texts: list[str], max_tokens: int, status: Status = SILENT) -> Tensor:
        """Texts, cut to ``max_tokens`` tokens -> embeddings of length 1, fp32 [N, H].

        An empty text is read as one end-of-text, or as the encoder's frame of special tokens. Of
        several processes, all of which must call it, each reads a share.
        """
        with quiet():  # of texts that are longer than what is read
            rows = self.tokenizer(list(texts), truncation=True, max_length=max_tokens)["input_ids"]
        rows = [row or [self.tokenizer.pad_token_id] for row in rows]
        order = sorted(range(len(rows)), key=lambda place: len(rows[place]))
        found = torch.zeros(len(rows), self.model.config.hidden_size)
        starts = range(0, len(rows), TEXTS_PER_PASS)
        groups = ranks.mine([order[start : start + TEXTS_PER_PASS] for start in starts])
        status.begin("the encoder reads texts", {"texts": sum(map(len, groups))})
        for places in groups:
            words = self.tokenizer.pad(
                {"input_ids": [rows[place] for place in places]}, return_tensors="pt"
            ).to(self.device)
            # Lengths are known, and the padding token may be a text's own end.
            lengths = torch.tensor([len(rows[place]) for place in places], device=self.device)
            read = torch.arange(words["input_ids"].size(1), device=self.device) < lengths[:, None]
            states = self.model(
                input_ids=words["input_ids"], attention_mask=read.long()
            ).last_hidden_state
            pooled = (states * read[..., None]).sum(1) / lengths[:, None]
            found[places] = F.normalize(pooled, dim=-1).cpu()
            status.step("texts", n=len(places))
        return ranks.sum_over_ranks(found)

    def digest(self) -> str:
        """Hash that tells one encoder from another."""
        return weights_digest(self.model)


def weights_digest(model: torch.nn.Module) -> str:
    """Hash of a model's names, shapes and numbers, every one of them: a damaged file is another."""
    weights = hashlib.sha256()
    for name, weight in model.state_dict().items():
        weights.update(f"{name}{tuple(weight.shape)}".encode())
        weights.update(weight.detach().cpu().numpy().reshape(-1))
    return weights.hexdigest()


def text_width(name: str | None) -> int:
    """H of an encoder's embeddings: enough is read to know whether it can be loaded.

    Raises:
        BackboneError: as :class:`TextEncoder`.
    """
    source = _source(name)
    with quiet(), refusals(f"the text encoder `{name}`", source, _WANTED):
        config = AutoConfig.from_pretrained(source, **SAFELY)
        _check_pooling(source, name)
    return config.hidden_size


def _source(name: str | None) -> str:
    return locate(DEFAULT_BACKBONE, convert_gguf) if name is None else locate_encoder(name)


def _check_pooling(source: str, name: str | None) -> None:
    file = cached_file(
        source,
        "1_Pooling/config.json",
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    if file is None:  # no model of sentence-transformers
        return
    with open(file, encoding="utf-8") as stream:
        pooling = json.load(stream)
    modes = [key for key, on in pooling.items() if key.startswith("pooling_mode_") and on is True]
    if modes != ["pooling_mode_mean_tokens"]:
        raise BackboneError(
            f"The text encoder `{name}` pools by {', '.join(modes) or 'nothing known'}, but only "
            "mean pooling (pooling_mode_mean_tokens) is supported: set `text_encoder` to another."
        )


_WANTED = (
    "`text_encoder` must be a transformer with its weights as safetensors, by hub name or local "
    f"folder, {MINILM}, or null for the default LLM"
)


def _is_head_of(model):
    """Whether a weight that is left over stands on top of an encoder, by its name.

    Encoders are often published with the head that they were trained with.

    Example: of BERT "cls.predictions.bias" does, "encoder.layer.12.output.dense.bias" does not
    """
    own = {name for name, _ in model.named_children()} | {model.base_model_prefix}
    return lambda weight: weight.split(".")[0] not in own
