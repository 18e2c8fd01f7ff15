"""Command lines that answer wrong arguments as they answer all bad input."""

from __future__ import annotations

import argparse


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence and exits with status 2."""

    def error(self, message):
        self.exit(2, f"error: {message}\n")
