"""The planted data set: texts determine what follows what, so the right answer is known."""

from __future__ import annotations

import random
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

COLOURS = ("red", "green", "blue", "white", "black", "pink")
SHAPES = ("circle", "square", "star", "cube", "ring", "heart", "cross", "moon", "arrow", "drop")
FOLLOWS = 0.9  # probability that a planted history goes on as the texts say


def planted_items() -> list[tuple[str, str, str]]:
    """(raw id, colour, shape) of each item; raw ids say nothing of either."""
    pairs = [(colour, shape) for colour in COLOURS for shape in SHAPES]
    names = [f"i{n:03d}" for n in range(len(pairs))]
    random.Random(7).shuffle(names)
    return [(name, *pair) for name, pair in zip(names, pairs, strict=True)]


def next_planted(colour: str, shape: str) -> tuple[str, str]:
    """What follows an item: the next shape, in the same colour."""
    return colour, SHAPES[(SHAPES.index(shape) + 1) % len(SHAPES)]
