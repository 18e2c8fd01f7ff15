"""Command lines that answer wrong arguments as they answer all bad input, and types of words."""

from __future__ import annotations

import argparse
import re

from recbole_store.errors import one_sentence


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence and exits with status 2."""

    def error(self, message):
        self.exit(2, f"error: {one_sentence(message)}\n")


def at_least_one(text: str) -> int:
    """An integer of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer of at least 1")
    return int(text)


def memory_size(text: str) -> str:
    """A number of bytes as DuckDB writes it, such as ``500MB``."""
    if not re.fullmatch(r"[1-9]\d*(\.\d+)?\s*[KMGT]i?B", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 500MB or 4GB")
    return text
