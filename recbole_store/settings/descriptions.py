"""Models and their variants in a line each: the first sentence of a property file's comment."""

from __future__ import annotations

from pathlib import Path

from recbole_store.errors import SettingsError
from recbole_store.settings.property_files import (
    PLUGIN_MODELS,
    model_folders,
    properties_folder,
    variant_file,
)

LONGEST = 160  # characters; of a longer sentence what stands before its colon is enough
# What no comment of a property file says, because it stands in their papers.
PAPERS = {
    "STORE": (
        "One LLM turns the text of an item into a few codes and generates the codes of a user's "
        "next item (arXiv 2409.07276)."
    ),
    "TIGER": (
        "A small T5 generates the codes of a user's next item; the codes come from a frozen text "
        "encoder (arXiv 2305.05065)."
    ),
}


def described(labels: list[str]) -> list[tuple[str, str]]:
    """Every label with a line on it; a model before its variants, in the order they are met."""
    names = [label.partition(":")[0] for label in labels]
    ordered = sorted(labels, key=lambda label: (names.index(label.partition(":")[0]), ":" in label))
    found, explained = [], set()
    for label in ordered:
        model, _, variant = label.partition(":")
        what = "" if model in explained else PAPERS.get(model, "")
        explained.add(model)
        found.append((label, f"{what} {line_of(model, variant)}".strip()))
    return found


def line_of(model: str, variant: str) -> str:
    """The comment at the head of a label's property file; RecBole's own models have none."""
    if not variant and model not in PLUGIN_MODELS:
        return f"RecBole's {model}." if model in model_folders() else "A model of unknown origin."
    try:
        path = variant_file(model, variant) if variant else None
    except SettingsError:  # of results that are older or newer than this code
        return f"A variant of {model} that has no property file here."
    return first_sentence(path or properties_folder() / "model" / f"{model}.yaml")


def first_sentence(path: Path) -> str:
    """Of the comment that a property file begins with.

    Example: ``# Wide and``, ``# deep. Slow.``, ``width: 9`` -> ``Wide and deep.``
    """
    said = whole_comment(path).partition(". ")[0].rstrip(".")
    return (said if len(said) <= LONGEST else said.partition(": ")[0]) + "."


def whole_comment(path: Path) -> str:
    """The comment that a property file begins with, on one line."""
    comment = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        comment.append(line.lstrip("# "))
    return " ".join(comment)
