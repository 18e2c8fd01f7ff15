"""``recbole-store settings MODEL [KEY ...]``: the keys of a model; and the page of all of them."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

from recbole_store.cli.commands import program
from recbole_store.cli.settings_page import page
from recbole_store.errors import SettingsError
from recbole_store.settings.arguments import Parser
from recbole_store.settings.property_files import (
    model_folders,
    nearest,
    read_properties,
    variant_file,
)
from recbole_store.settings.reference import Entry, as_yaml, of_model

WIDTH = 100


def parser() -> Parser:
    """``settings [MODEL[:VARIANT]] [KEY ...]``."""
    p = Parser(
        prog=f"{program()} settings",
        description="The keys of a model, with type, default and meaning; each is set as "
        "--key=value, or in a property file.",
        allow_abbrev=False,
    )
    p.add_argument(
        "model", nargs="?", default="STORE", metavar="MODEL[:VARIANT]", help="whose (STORE)"
    )
    p.add_argument("keys", nargs="*", metavar="KEY", help="these alone")
    p.add_argument(
        "--page", type=Path, metavar="FILE", help="write docs/settings.md, of all models, instead"
    )
    return p


def main(argv: list[str]) -> int:
    """Returns the exit status: 0 done, 2 bad input."""
    arguments = parser().parse_args(argv)
    try:
        if arguments.page:
            arguments.page.write_text(page(), encoding="utf-8")
            print(arguments.page)
        else:
            print(listing(arguments.model, arguments.keys))
    except (SettingsError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # of `| head`
        return 0
    return 0


def listing(label: str, keys: list[str]) -> str:
    """The keys of a model, or some of them; what its variant sets stands in the default's place.

    Raises:
        SettingsError: there is no such model, variant or key.
    """
    model, _, variant = label.partition(":")
    if model not in model_folders():
        known = model_folders()
        raise SettingsError(
            f"Unknown model `{model}`{nearest(model, known)}; known: {', '.join(sorted(known))}."
        )
    own = read_properties(variant_file(model, variant)) if variant else {}
    parts = of_model(model)
    known = [entry.key for listed in parts.values() for entry in listed]
    for key in keys:
        if key not in known:
            raise SettingsError(f"`{model}` has no key `{key}`{nearest(key, known)}.")
    lines = []
    for title, listed in parts.items():
        chosen = [entry for entry in listed if not keys or entry.key in keys]
        section = ""
        if chosen:
            lines += ["", title, "-" * len(title)]
        for entry in chosen:
            if entry.section != section and not keys:
                section = entry.section
                lines += ["", f"{section}:"]
            lines += _lines(entry, own, label)
    return "\n".join(lines).strip("\n")


def _lines(entry: Entry, own: dict, label: str) -> list[str]:
    value = entry.value
    if entry.key in own and (others := as_yaml(own[entry.key])) != value:
        value = f"{others} in {label}, else {value}"
    form = f"   ({entry.form})" if entry.form else ""
    said = textwrap.wrap(entry.meaning, WIDTH - 6)
    return [f"  {entry.key} = {value}{form}", *(f"      {line}" for line in said)]
