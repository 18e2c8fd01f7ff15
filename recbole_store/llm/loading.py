"""A causal LM and its tokenizer, from a hub, a folder, or the embedded default."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from recbole_store.errors import BackboneError
from recbole_store.llm.model_files import locate
from recbole_store.llm.saving import save_whole
from recbole_store.llm.weight_checks import check_weights, cut_layers

# A folder's own code is never run, nor asked about; pickled weights are never read; and what does
# not fit is told of in our words (weight_checks.py).
SAFELY = {"trust_remote_code": False}
WEIGHTS_SAFELY = {
    **SAFELY,
    "use_safetensors": True,
    "ignore_mismatched_sizes": True,
    "output_loading_info": True,
}


def load(name: str, n_layers: int | None):
    """A causal LM in fp32 with its first ``n_layers`` layers, and its tokenizer.

    Raises:
        BackboneError: the name leads to no model, the model has fewer layers, its weights do not
            fit, it is not causal, or its tokenizer is another model's.
    """
    with quiet(), refusals(f"the backbone `{name}`", name, _WANTED):
        source = locate(name, convert_gguf)
        config, n_there = _read_config(source, name, n_layers)
        llm, info = AutoModelForCausalLM.from_pretrained(
            source, config=config, dtype=torch.float32, **WEIGHTS_SAFELY
        )
        is_cut = cut_layers(llm, config.num_hidden_layers, n_there)
        check_weights(f"the backbone `{name}`", llm, llm, info, is_cut)
        _check_causal(name, llm)
        tokenizer = AutoTokenizer.from_pretrained(source, **SAFELY)
        _check_tokenizer(name, llm, tokenizer)
        return llm, tokenizer


def read_config(name: str, n_layers: int | None):
    """The LLM's configuration, cut to ``n_layers``: enough to know whether it can be loaded.

    Raises:
        BackboneError: as :func:`load`.
    """
    with quiet(), refusals(f"the backbone `{name}`", name, _WANTED):
        return _read_config(locate(name, convert_gguf), name, n_layers)[0]


_WANTED = (
    "it must be a causal LM of transformers with its weights as safetensors, given by hub name, by "
    "local folder, or as smollm2-135m"
)


def _read_config(source: str, name: str, n_layers: int | None):
    """The configuration, cut to ``n_layers``, and how many layers the files hold."""
    config = AutoConfig.from_pretrained(source, **SAFELY)
    n_there = config.num_hidden_layers
    if n_layers is not None and n_layers > n_there:
        raise BackboneError(f"`backbone_layers` is {n_layers}, but {name} has {n_there}.")
    config.num_hidden_layers = n_layers or n_there
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[: config.num_hidden_layers]
    return config, n_there


@torch.no_grad()
def _check_causal(name: str, llm) -> None:
    """An encoder such as BERT, which transformers takes for an LM, would see what it predicts."""
    words = torch.tensor([[0, 1], [0, 2]])
    first, other = llm.eval().base_model(input_ids=words).last_hidden_state[:, 0]
    if not torch.allclose(first, other, rtol=1e-3, atol=1e-4):
        raise BackboneError(
            f"The backbone `{name}` is not causal: what it makes of a word depends on the next "
            "word; name a language model that generates text."
        )


def _check_tokenizer(name: str, llm, tokenizer) -> None:
    n_tokens = llm.get_input_embeddings().num_embeddings
    if len(tokenizer) > n_tokens:
        raise BackboneError(
            f"The tokenizer of the backbone `{name}` has {len(tokenizer)} tokens, but the "
            f"model has vectors for {n_tokens}: name a model that has its own tokenizer."
        )
    if tokenizer.eos_token_id is None:
        raise BackboneError(
            f"The tokenizer of the backbone `{name}` has no end of text: set `eos_token` in its "
            "tokenizer_config.json."
        )


@contextlib.contextmanager
def refusals(what: str, source: str, wanted: str):
    """Turn whatever transformers raises over a model's files into one sentence.

    Args:
        what: the model, for the message.
        source: its folder, if it is one.
        wanted: what a name should lead to.
    """
    try:
        yield
    except BackboneError:
        raise
    except Exception as error:  # over damaged files it raises nearly everything there is
        if damaged := _damaged_file(source):
            raise BackboneError(
                f"Cannot load {what}: {damaged} is damaged; fetch or save the model again."
            ) from error
        if "custom code" in str(error):
            raise BackboneError(
                f"Cannot load {what}: it brings code of its own, which is never run; name a model "
                "whose architecture transformers knows."
            ) from error
        said = " ".join(str(error).split())[:200].rstrip(" .:")
        if not isinstance(error, (OSError, ValueError, ImportError)):
            said = f"{type(error).__name__}: {said}"
        raise BackboneError(f"Cannot load {what}: {wanted} ({said}).") from error


_OBJECTS = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json")


def _damaged_file(source: str) -> Path | None:
    """The first of a folder's files that is not what its name says."""
    for file in sorted(Path(source).glob("*")):
        try:
            if file.suffix == ".safetensors":
                with safe_open(file, "pt"):
                    pass
            elif file.name in _OBJECTS and not isinstance(json.loads(file.read_bytes()), dict):
                return file
        except (SafetensorError, ValueError, RecursionError, OSError):
            return file
    return None


@contextlib.contextmanager
def quiet():
    """No progress bars and no warnings: dropped layers would be reported as unused weights."""
    verbosity = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()


def convert_gguf(gguf: Path, target: Path) -> None:
    """Dequantise a GGUF file and keep it as safetensors with its tokenizer; no seed moves."""
    # The reader's own progress bar knows no switch.
    with contextlib.redirect_stderr(io.StringIO()), torch.random.fork_rng():
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name, **SAFELY)
        quantised = AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, dtype=torch.float32, **SAFELY
        )
        config = quantised.config
        del config.quantization_config  # a model from GGUF refuses to be saved with it
        plain = AutoModelForCausalLM.from_config(config)
    plain.load_state_dict(quantised.state_dict())
    save_whole(plain, target)
    tokenizer.save_pretrained(target)
