"""What torchrun has started, by its variables alone: a word of refusal need not wait for torch."""

from __future__ import annotations

import os

SHARED = ("train", "recommend", "add-items")  # commands whose work several processes share

# What to do instead, of commands that are more than one process's by themselves.
_INSTEAD = {
    "tune": "several that are started alike, each without torchrun, share one search",
    "compare": "of a comparison each run has a process of its own",
}


def n_processes() -> int:
    """How many processes torchrun has started for one command."""
    return int(os.environ.get("WORLD_SIZE") or 1)


def alone(verb: str) -> str:
    """What a command says to torchrun that runs in one process."""
    *others, last = SHARED
    instead = _INSTEAD.get(verb, f"only {', '.join(others)} and {last} are shared out")
    return (
        f"torchrun has started {n_processes()} processes, but `{verb}` runs in one: start it "
        f"without torchrun; {instead}"
    )
