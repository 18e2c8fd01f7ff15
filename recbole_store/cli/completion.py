"""``recbole-store completion SHELL``: a script that completes commands, flags, keys and models."""

from __future__ import annotations

import importlib.util
import sys
from importlib import import_module
from pathlib import Path

from recbole_store.cli.commands import GROUPS, RUNS
from recbole_store.settings.arguments import Parser
from recbole_store.settings.keys import declared_keys
from recbole_store.settings.profile import profile_names
from recbole_store.settings.property_files import (
    PLUGIN_MODELS,
    model_folders,
    variants_of,
)

EPILOG = """\
For the shell that runs now: eval "$(recbole-store completion bash)". For those to come, put the
script where the shell looks for it, such as
~/.local/share/bash-completion/completions/recbole-store
"""
SHELLS = ("bash", "zsh", "tcsh")  # that shtab writes for


def parser() -> Parser:
    """``completion SHELL``."""
    p = Parser(
        prog="recbole-store completion",
        description="Print a script that completes the words of recbole-store.",
        epilog=EPILOG,
    )
    p.add_argument("shell", choices=SHELLS)
    return p


def main(argv: list[str]) -> int:
    """Returns the exit status: 0 done, 2 the library that writes the script is missing."""
    arguments = parser().parse_args(argv)
    if importlib.util.find_spec("shtab") is None:
        print("error: completion needs shtab: `pip install shtab`", file=sys.stderr)
        return 2
    import shtab

    print(shtab.complete(whole_parser(), arguments.shell))
    return 0


def whole_parser() -> Parser:
    """All commands as one parser, as nobody parses with."""
    import shtab

    whole = Parser(prog="recbole-store", description="STORE in RecBole", allow_abbrev=False)
    below = whole.add_subparsers(dest="command", parser_class=Parser)
    for name, command in [pair for group in GROUPS.values() for pair in group.items()]:
        own = import_module(command.module)
        p = below.add_parser(
            name,
            help=command.what,  # without it shtab takes the command for a secret
            parents=[own.parser(name) if name in RUNS else own.parser()],
            add_help=False,
            conflict_handler="resolve",
        )
        if name in RUNS:
            _add_keys(p)
        for action in p._actions:
            if action.type is Path:
                action.complete = shtab.FILE
            elif action.dest == "model" and action.choices is None:
                action.choices = labels()
            elif action.dest == "profile":
                action.choices = profile_names()
    return whole


def labels() -> list[str]:
    """Models, and the variants that there are of them."""
    models = [*PLUGIN_MODELS, *sorted(set(model_folders()) - set(PLUGIN_MODELS))]
    return [m for model in models for m in (model, *(f"{model}:{v}" for v in variants_of(model)))]


def _add_keys(p: Parser) -> None:
    """The properties of STORE and RecBole, which runs take as flags, with words to choose from."""
    there = set(p.flags())
    for key, declared in declared_keys(["STORE"]).items():
        if key not in there:
            words = [word for form in declared.forms for word in form.choices]
            if any(form.type == "bool" for form in declared.forms):
                words += ["True", "False"]
            p.add_argument(f"--{key}", choices=words or None, metavar="VALUE")
