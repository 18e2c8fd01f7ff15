"""Which commands there are: each is a first word, and a module whose ``main`` it calls."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from pathlib import Path
from typing import NamedTuple

from recbole_store import __version__


class Command(NamedTuple):
    """A first word's module, with ``main(argv)`` and ``parser()``, and a line on it."""

    module: str
    what: str


GROUPS = {
    "All at once": {
        "quickstart": Command(
            "recbole_store.cli.quickstart", "from a table of your own to recommendations"
        ),
    },
    "Data": {
        "prepare": Command(
            "recbole_store.data.prepare.command", "raw data to RecBole files with texts"
        ),
        "check": Command(
            "recbole_store.data.check.command", "what in a data set would change results"
        ),
    },
    "Training": {
        "train": Command("recbole_store.cli.run_words", "one model on one data set"),
        "compare": Command(
            "recbole_store.cli.run_words", "several models, data sets or seeds, under one protocol"
        ),
        "tune": Command(
            "recbole_store.experiments.tune", "a search of settings, judged on validation"
        ),
        "update": Command(
            "recbole_store.experiments.update.command", "training goes on with new interactions"
        ),
        "settings": Command(
            "recbole_store.cli.settings", "the keys of a model: type, default, meaning"
        ),
    },
    "What came of it": {
        "results": Command(
            "recbole_store.experiments.comparison.results_command", "tables of a results folder"
        ),
        "report": Command(
            "recbole_store.experiments.report.page.command", "the same as one HTML page"
        ),
    },
    "A finished model, saved/RUN/model": {
        "recommend": Command(
            "recbole_store.recommender.commands.recommend", "what comes next, for one or for many"
        ),
        "similar": Command("recbole_store.recommender.commands.similar", "the likest items"),
        "explain": Command(
            "recbole_store.recommender.commands.explain", "an item's codes, and why it is there"
        ),
        "add-items": Command(
            "recbole_store.recommender.commands.add_items", "new items by their texts, untrained"
        ),
        "serve": Command(
            "recbole_store.recommender.commands.serve", "answers over HTTP, and a page to try it"
        ),
        "export": Command(
            "recbole_store.recommender.commands.export", "a folder that plain transformers load"
        ),
    },
    "The shell": {
        "completion": Command("recbole_store.cli.completion", "a script that completes words"),
    },
}
COMMANDS = {name: one.module for group in GROUPS.values() for name, one in group.items()}
RUNS = ("train", "compare")  # commands that one module reads, by name


def program() -> str:
    """What the command line calls itself."""
    name = Path(sys.argv[0]).name
    return name if name.startswith("run_recbole_store") else "recbole-store"


def overview() -> str:
    """Help on all commands."""
    lines = [f"usage: {program()} COMMAND ...", ""]
    lines += ["One LLM tokenizes items and recommends them: STORE in RecBole.", ""]
    for title, group in GROUPS.items():
        lines.append(f"{title}:")
        lines += [f"  {name:12}{one.what}" for name, one in group.items()]
        lines.append("")
    lines += [
        "`COMMAND --help` says what each takes. Without a command, words are a run's, as RecBole's",
        "users have them: --model=STORE --dataset=ml-100k; several of either are a comparison.",
        "`train --help` lists models and variants. --version: of this, and of what is under it.",
    ]
    return "\n".join(lines)


def version() -> str:
    """Of this package and of those that figures depend on most."""
    found = [f"recbole-store {__version__}", f"Python {platform.python_version()}"]
    for name in ("recbole", "torch", "transformers"):
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"{name} is not installed")
    return ", ".join(found)
