"""Views of an item's text, for the contrastive loss."""

from __future__ import annotations

import random


def drop_pieces(pieces: list[str], share: float, rng: random.Random) -> list[str]:
    """One view of an item: each piece of its text is left out with probability ``share``.

    At least one piece stays. Example: ["Alien", "(1979)", "Horror"] -> ["Alien", "Horror"]
    """
    kept = [piece for piece in pieces if rng.random() >= share]
    return kept or ([rng.choice(pieces)] if pieces else [])
