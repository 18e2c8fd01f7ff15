"""A model's files, as transformers writes them."""

from __future__ import annotations

from pathlib import Path


def save_whole(model, target: Path) -> None:
    """Write a model's files, whichever of torchrun's processes this is.

    transformers writes them in the first process alone, and here it is one that fills the cache.
    """
    model.should_save_on_this_rank = lambda is_main_process: True
    model.save_pretrained(target)
