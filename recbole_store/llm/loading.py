"""A causal LM and its tokenizer, from a hub, a folder, or the embedded default."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from recbole_store.errors import BackboneError
from recbole_store.llm.model_files import locate


def load(name: str, n_layers: int | None):
    """A causal LM in fp32 with its first ``n_layers`` layers, and its tokenizer.

    Raises:
        BackboneError: the name leads to no model, or the model has fewer layers.
    """
    with quiet(), _refusals(name):
        source = locate(name, convert_gguf)
        config = _read_config(source, name, n_layers)
        llm = AutoModelForCausalLM.from_pretrained(source, config=config, dtype=torch.float32)
        return llm, AutoTokenizer.from_pretrained(source)


def read_config(name: str, n_layers: int | None):
    """The LLM's configuration, cut to ``n_layers``: enough to know whether it can be loaded.

    Raises:
        BackboneError: as :func:`load`.
    """
    with quiet(), _refusals(name):
        return _read_config(locate(name, convert_gguf), name, n_layers)


def _read_config(source: str, name: str, n_layers: int | None):
    config = AutoConfig.from_pretrained(source)
    if n_layers is not None and n_layers > config.num_hidden_layers:
        raise BackboneError(
            f"`backbone_layers` is {n_layers}, but {name} has {config.num_hidden_layers}."
        )
    config.num_hidden_layers = n_layers or config.num_hidden_layers
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[: config.num_hidden_layers]
    return config


@contextlib.contextmanager
def _refusals(name: str):
    """Turn what transformers raises over a name into one sentence."""
    try:
        yield
    except BackboneError:
        raise
    except (OSError, ValueError, ImportError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise BackboneError(
            f"Cannot load the backbone `{name}`: it must be a causal LM of transformers, given by "
            f"hub name, by local folder, or as smollm2-135m ({said})."
        ) from error


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
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        quantised = AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, dtype=torch.float32
        )
        config = quantised.config
        del config.quantization_config  # a model from GGUF refuses to be saved with it
        plain = AutoModelForCausalLM.from_config(config)
    plain.load_state_dict(quantised.state_dict())
    plain.save_pretrained(target)
    tokenizer.save_pretrained(target)
