"""docs/settings.md: every key, variant and profile, from the property files and their comments."""

from __future__ import annotations

from pathlib import Path

from recbole_store.settings.descriptions import PAPERS, line_of, whole_comment
from recbole_store.settings.keys import model_files
from recbole_store.settings.property_files import PLUGIN_MODELS, properties_folder, variants_of
from recbole_store.settings.reference import entries

BEGINNING = """\
# Settings

Made by `recbole-store settings --page docs/settings.md` from the comments in `properties/`: change
them there. `recbole-store settings MODEL KEY` says the same on the console, of RecBole's own models
and keys too. Later wins: RecBole's defaults, the defaults below, those of the data set, profile,
variant, property files in their order, `--key=value`.
"""


def page() -> str:
    """The page as Markdown."""
    root = properties_folder()
    parts = [BEGINNING, "## Every model\n", _table(root / "overall.yaml")]
    parts += ["## Data sets\n", _table(root / "dataset" / "sample.yaml")]
    for model in PLUGIN_MODELS:
        own, *tokenizers = model_files(model)
        parts += [f"## {model}\n", f"{PAPERS.get(model, '')} {line_of(model, '')}".strip() + "\n"]
        parts.append(_table(own))
        if model == "TIGER" and "STORE" in PLUGIN_MODELS:
            parts.append("Its tokenizers have the keys that STORE's have.\n")
            tokenizers = []
        for path in tokenizers:
            parts += [f"### tokenizer: {path.stem}\n", whole_comment(path) + "\n", _table(path)]
        if names := variants_of(model):
            parts += [f"### Variants of {model}\n", _list(model, names)]
    others = sorted({f.stem.split("-", 1)[0] for f in (root / "variant").glob("*.yaml")})
    for model in (name for name in others if name not in PLUGIN_MODELS):
        parts += [f"### Variants of RecBole's {model}\n", _list(model, variants_of(model))]
    parts.append("## Profiles\n")
    for path in sorted((root / "profile").glob("*.yaml")):
        parts.append(f"- `--profile={path.stem}`: {whole_comment(path)}")
    return "\n".join(parts).rstrip("\n") + "\n"


def _list(model: str, names: list[str]) -> str:
    return "".join(f"- `{model}:{name}`: {line_of(model, name)}\n" for name in names)


def _table(path: Path) -> str:
    """A property file's keys, a table for each of its sections."""
    lines, section = [], None
    for entry in entries(path):
        if entry.section != section:
            section = entry.section
            lines += ["", f"**{section}**", ""] if section else []
            lines += ["| key | default | may be | meaning |", "| --- | --- | --- | --- |"]
        cells = (f"`{entry.key}`", f"`{entry.value}`", entry.form, entry.meaning)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines).lstrip("\n") + "\n"
