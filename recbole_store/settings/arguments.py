"""Command lines that answer wrong arguments as they answer all bad input, and types of words."""

from __future__ import annotations

import argparse
import re

from recbole_store.errors import one_sentence
from recbole_store.settings.property_files import nearest


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence and exits with status 2."""

    def error(self, message):
        self.exit(2, f"error: {one_sentence(message)}\n")

    def parse_args(self, args=None, namespace=None):
        """As argparse, but an unknown flag is told the likest one there is."""
        found, left = self.parse_known_args(args, namespace)
        if left:
            flag = left[0].partition("=")[0]
            said = nearest(flag, [f"--{name}" for name in self.flags()])
            self.error(f"unknown argument {left[0]!r}{said if flag.startswith('-') else ''}")
        return found

    def flags(self) -> list[str]:
        """Long flags without their dashes, those of the commands below it included."""
        found = []
        for action in self._actions:
            if action.help is not argparse.SUPPRESS:
                found += [word[2:] for word in action.option_strings if word.startswith("--")]
            if isinstance(action, argparse._SubParsersAction):
                for below in action.choices.values():
                    found += below.flags()
        return list(dict.fromkeys(found))


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
