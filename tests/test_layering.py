"""Who may import whom: the tokenizer and the generator work without RecBole and each other."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "recbole_store"
SOURCES = sorted(PACKAGE.rglob("*.py"))
OUTSIDE = ("recbole", "recbole_store.model", "recbole_store.trainer", "recbole_store.run")
OUTSIDE += ("recbole_store.recbole_plugin", "recbole_store.settings", "recbole_store.llm")
OUTSIDE += ("recbole_store.text_embeddings", "recbole_store.value_checks")


def imports(path: Path) -> set[str]:
    """Dotted names of all that a file imports, inside functions too.

    Example: ``from recbole_store import llm`` -> {"recbole_store", "recbole_store.llm"}
    """
    package = [PACKAGE.name, *path.relative_to(PACKAGE).parts[:-1]]
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            names.update({module, *(f"{module}.{alias.name}" for alias in node.names)})
    return names


def imports_any(path: Path, modules) -> set[str]:
    return {n for n in imports(path) for m in modules if n == m or n.startswith(m + ".")}


@pytest.mark.parametrize(
    ("folder", "other"), [("tokenizer", "generator"), ("generator", "tokenizer")]
)
def test_inner_packages_know_nothing_outside(folder, other):
    files = sorted((PACKAGE / folder).glob("*.py"))
    assert len(files) > 2
    for path in files:
        assert not imports_any(path, (*OUTSIDE, f"recbole_store.{other}")), path


@pytest.mark.parametrize(
    ("library", "users"),
    [("peft", {"llm.py"}), ("transformers", {"llm.py", "model/tiger.py", "text_embeddings.py"})],
)
def test_only_these_import(library, users):
    found = {path for path in SOURCES if imports_any(path, [library])}
    assert {path.relative_to(PACKAGE).as_posix() for path in found} == users


@pytest.mark.parametrize("folder", ["prepare", "check"])
def test_data_commands_need_no_heavy_library(folder):
    files = sorted((PACKAGE / folder).rglob("*.py"))
    assert len(files) > 5
    for path in files:
        assert not imports_any(path, ("torch", "recbole", "pandas", *OUTSIDE[1:5])), path


def test_settings_need_no_heavy_library():
    heavy = ("torch", "recbole", "transformers", "pandas", "recbole_store.run")
    light = ["settings.py", "property_files.py", "protocol.py", "value_checks.py"]
    light.append("tokenizer/item_text.py")
    comparison = sorted((PACKAGE / "comparison").glob("*.py"))
    assert len(comparison) > 10
    for path in [*(PACKAGE / name for name in light), *comparison]:
        assert not imports_any(path, heavy), path
