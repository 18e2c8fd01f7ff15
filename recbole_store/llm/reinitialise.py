"""An LLM whose weights are drawn anew: what its training was worth, with all else as it was."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from recbole_store.llm.saving import save_whole

SEED = 0


def reinitialise(source: str | Path, target: Path) -> None:
    """Save a model of the same shape with the weights that training begins from; no seed moves.

    Args:
        source: folder of a causal LM.
        target: gets its configuration and tokenizer, and the weights.
    """
    config = AutoConfig.from_pretrained(source, trust_remote_code=False)
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        llm = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    save_whole(llm, target)
    AutoTokenizer.from_pretrained(source, trust_remote_code=False).save_pretrained(target)
