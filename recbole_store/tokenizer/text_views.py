"""Views of an item's text, for the contrastive loss."""

from __future__ import annotations

import random


def drop_fields(fields: list[str], share: float, rng: random.Random) -> list[str]:
    """One view of an item: each field of its text is left out with probability ``share``.

    At least one field stays. Example: ["Alien", "(1979)", "Horror"] -> ["Alien", "Horror"]
    """
    kept = [field for field in fields if rng.random() >= share]
    return kept or ([rng.choice(fields)] if fields else [])
