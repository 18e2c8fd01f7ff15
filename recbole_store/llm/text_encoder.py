"""One frozen text embedding an item, [N, H]: what all quantizers but the palette read.

A text is read once by an encoder that nothing here trains; the mean of the last hidden states over
its word pieces, brought to length 1, is its embedding, as sentence-transformers' models have it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AutoConfig, AutoModel, AutoTokenizer
from transformers.utils import cached_file

from recbole_store.errors import BackboneError
from recbole_store.llm.loading import convert_gguf, quiet
from recbole_store.llm.model_files import (
    DEFAULT_BACKBONE,
    MINILM,
    locate,
    locate_encoder,
)

TEXTS_PER_PASS = 64


class TextEncoder:
    """A frozen encoder.

    Args:
        name: hub name or local folder of an encoder of sentence-transformers (mean pooling) or
            of any transformer; ``all-minilm-l6-v2`` is embedded; None: the default LLM, whole.
        device: to read on.

    Raises:
        BackboneError: the name leads to no encoder, or to one that is not pooled by the mean.
    """

    def __init__(self, name: str | None, device="cpu"):
        source, self.device = _source(name), device
        with quiet(), _refusals(name):
            _check_pooling(source, name)
            model = AutoModel.from_pretrained(source, dtype=torch.float32)
            self.tokenizer = AutoTokenizer.from_pretrained(source)
        # Of an encoder-decoder such as T5 the encoder alone.
        self.model = model.get_encoder() if model.config.is_encoder_decoder else model
        self.model.requires_grad_(False).eval().to(device)
        if self.tokenizer.pad_token is None:  # an LLM's; what is padded is masked
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.tokenizer.padding_side = "right"

    @torch.no_grad()
    def __call__(self, texts: list[str], max_words: int) -> Tensor:
        """Texts, cut to ``max_words`` word pieces -> embeddings of length 1, fp32 [N, H].

        An empty text is read as one end-of-text, or as the encoder's frame of special tokens.
        """
        with quiet():  # of texts that are longer than what is read
            rows = self.tokenizer(list(texts), truncation=True, max_length=max_words)["input_ids"]
        rows = [row or [self.tokenizer.pad_token_id] for row in rows]
        order = sorted(range(len(rows)), key=lambda place: len(rows[place]))
        found = torch.empty(len(rows), self.model.config.hidden_size)
        for start in range(0, len(rows), TEXTS_PER_PASS):
            places = order[start : start + TEXTS_PER_PASS]
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
        return found

    def digest(self) -> str:
        """Hash that tells one encoder from another."""
        return weights_digest(self.model)


def weights_digest(model: torch.nn.Module) -> str:
    """Hash of a model's names, shapes and a sample of its numbers.

    A sample tells one model from another without hashing every byte of it; a sum would differ with
    the number of threads.
    """
    weights = hashlib.sha256()
    for name, weight in model.state_dict().items():
        weights.update(f"{name}{tuple(weight.shape)}".encode())
        weights.update(weight.detach().flatten()[::997].cpu().contiguous().numpy().tobytes())
    return weights.hexdigest()


def text_width(name: str | None) -> int:
    """H of an encoder's embeddings: enough is read to know whether it can be loaded.

    Raises:
        BackboneError: as :class:`TextEncoder`.
    """
    source = _source(name)
    with quiet(), _refusals(name):
        config = AutoConfig.from_pretrained(source)
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


@contextlib.contextmanager
def _refusals(name: str | None):
    """Turn what transformers raises over a name into one sentence."""
    try:
        yield
    except BackboneError:
        raise
    except (OSError, ValueError, ImportError, KeyError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise BackboneError(
            f"Cannot load the text encoder `{name}`: `text_encoder` must be a transformer by hub "
            f"name or local folder, {MINILM}, or null for the default LLM ({said})."
        ) from error
