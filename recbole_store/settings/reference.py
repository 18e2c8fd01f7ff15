"""Keys as a person looks them up: what may stand there, what stands there, and what it means.

All of it is read from the property files and the comments in them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from recbole_store.settings.declared import Declared, comment_of
from recbole_store.settings.keys import model_files
from recbole_store.settings.property_files import (
    properties_folder,
    read_properties,
    recbole_folder,
)

_LINE = re.compile(r"^([\w-]+):(?P<rest>.*)$")


@dataclass(frozen=True)
class Entry:
    """A key of a property file.

    Attributes:
        form: what it may hold, in words; empty where the comment does not say.
        value: what the file says, as YAML.
        section: the comment that heads its part of the file; empty if there is none.
    """

    key: str
    form: str
    value: str
    meaning: str
    section: str = ""


def entries(path: Path) -> list[Entry]:
    """All keys of a property file, in its order.

    Example: ``eta: 0.5  # (float in [0, 1)) A share.`` -> key eta, form "a number in [0, 1)",
    value 0.5, meaning "A share."
    """
    values, found = read_properties(path), []
    section, after_blank = "", False
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#") and after_blank:
            section = line.lstrip("# ").strip()
        after_blank = not line.strip()
        if key := _LINE.match(line):
            form, meaning = _said(line)
            found.append(Entry(key[1], form, as_yaml(values[key[1]]), meaning, section))
    return found


def _said(line: str) -> tuple[str, str]:
    """Form and meaning in the comment behind a value.

    Example: ``a: 1  # (int >= 1) How many.`` -> ("an integer of at least 1", "How many.")
    """
    typed = comment_of(line)
    if typed is None:
        return "", line.partition(" # ")[2].strip()
    meaning = line.partition(f"({typed})")[2].strip()
    try:
        return str(Declared.parse(typed)), meaning
    except ValueError:  # RecBole's own words
        return typed, meaning


def as_yaml(value) -> str:
    """Example: None -> "null", 0.0003 -> "0.0003", {"LS": "a"} -> "{LS: a}" """
    text = yaml.safe_dump(value, default_flow_style=True, width=float("inf"))
    return text.removesuffix("\n").removesuffix("\n...")


def of_model(model: str) -> dict[str, list[Entry]]:
    """What a run of a model may set, under a title for each part; nothing stands there twice.

    A key that several files have stands under the first of them: the model's own say what holds.
    """
    ours, theirs = properties_folder(), recbole_folder() / "properties"
    files = {}
    for path in model_files(model):
        name = f"tokenizer: {path.stem}" if path.parent.name == "tokenizer" else model
        files[name] = path
    if not files:
        files[model] = theirs / "model" / f"{model}.yaml"
    files["every model"] = ours / "overall.yaml"
    files["data"] = ours / "dataset" / "sample.yaml"
    files["RecBole's, with bounds"] = ours / "recbole.yaml"
    files["RecBole's"] = theirs / "overall.yaml"
    seen: set[str] = set()
    found = {}
    for title, path in files.items():
        of_file = entries(path) if path.is_file() else []
        is_tokenizer = title.startswith("tokenizer: ")  # kinds may share a key
        found[title] = [e for e in of_file if is_tokenizer or e.key not in seen]
        seen |= {entry.key for entry in of_file}
    return {title: listed for title, listed in found.items() if listed}
