"""Who may import whom: packages stand in one order, and imports go down it, never round."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "recbole_store"
# A script that is copied into exported models and runs there, without this package.
FOR_OTHERS = PACKAGE / "recommender" / "export" / "recommend_script.py"
SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if path != FOR_OTHERS)

# From the bottom to the top: whoever stands higher may import what stands lower.
FLOORS = (
    "errors",
    "processes",
    "settings",
    "data",
    "llm",
    "tokenizer",
    "generator",
    "model",
    "plugin",
    "recommender",
    "experiments",
    "cli",
)
# Libraries that a command line should not wait for, and who may wait for none of them.
HEAVY = ("torch", "recbole", "transformers", "pandas")
LIGHT = ("errors", "settings", "data", "cli", "experiments/results", "experiments/report/tables")
# RecBole is known from this floor on.
RECBOLE = "model"


def imports(path: Path, only_at_import: bool = False) -> set[str]:
    """Dotted names of all that a file imports, inside functions too.

    Args:
        only_at_import: leave out what functions import when they are called.

    Example: ``from recbole_store import llm`` -> {"recbole_store", "recbole_store.llm"}
    """
    package = [PACKAGE.name, *path.relative_to(PACKAGE).parts[:-1]]
    names, left = set(), [ast.parse(path.read_text(encoding="utf-8"))]
    while left:
        node = left.pop()
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            names.update({module, *(f"{module}.{alias.name}" for alias in node.names)})
        is_function = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        if not (only_at_import and is_function):
            left += ast.iter_child_nodes(node)
    return names


def imports_any(path: Path, modules, only_at_import: bool = False) -> set[str]:
    names = imports(path, only_at_import)
    return {n for n in names for m in modules if n == m or n.startswith(m + ".")}


def floor_of(path: Path) -> str:
    """Example: recbole_store/data/check/finding.py -> "data" """
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def arrows() -> dict[tuple[str, str], set[str]]:
    """(package, package it imports) -> files that do."""
    found: dict[tuple[str, str], set[str]] = {}
    for path in SOURCES:
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == PACKAGE.name and len(parts) > 1 and parts[1] in FLOORS:
                arrow = (floor_of(path), parts[1])
                if arrow[0] != arrow[1]:
                    found.setdefault(arrow, set()).add(str(path.relative_to(PACKAGE)))
    return found


def test_imports_go_down():
    """In one order of packages no circle can be."""
    known = [floor_of(path) for path in SOURCES if floor_of(path) != "__init__"]
    assert set(known) <= set(FLOORS), "every package and module has its floor"
    up = {
        arrow: files
        for arrow, files in arrows().items()
        if arrow[0] != "__init__" and FLOORS.index(arrow[0]) < FLOORS.index(arrow[1])
    }
    assert not up


def test_no_two_files_import_each_other():
    """Circles inside a package, type annotations included."""
    module_of = {
        path: ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in SOURCES
    }
    path_of = {name.removesuffix(".__init__"): path for path, name in module_of.items()}
    uses = {path: {path_of[n] for n in imports(path) if n in path_of} - {path} for path in SOURCES}
    done: set[Path] = set()
    while True:
        free = {path for path in SOURCES if path not in done and uses[path] <= done}
        if not free:
            break
        done |= free
    # A package's own __init__ names its parts, which import the package.
    left = [path for path in SOURCES if path not in done]
    assert not left, [str(path.relative_to(PACKAGE)) for path in left]


@pytest.mark.parametrize("floor", FLOORS[: FLOORS.index(RECBOLE)])
def test_lower_floors_know_no_recbole(floor):
    for path in SOURCES:
        if floor_of(path) == floor:
            assert not imports_any(path, ["recbole"]), path


@pytest.mark.parametrize("place", LIGHT)
def test_light_parts_start_at_once(place):
    parts = place.split("/")
    files = [
        p
        for p in SOURCES
        if list(p.relative_to(PACKAGE).with_suffix("").parts)[: len(parts)] == parts
    ]
    assert files
    for path in files:
        assert not imports_any(path, HEAVY, only_at_import=True), path


def test_nothing_that_one_system_alone_has_is_imported_at_the_top():
    """Windows lacks the first ones."""
    of_one_system = ("fcntl", "resource", "pwd", "grp", "termios", "msvcrt", "winreg")
    for path in SOURCES:
        assert not imports_any(path, of_one_system, only_at_import=True), path


@pytest.mark.parametrize(
    ("library", "users"),
    [
        ("peft", {"llm/backbone.py"}),
        (
            "transformers",
            {
                *("llm/backbone.py", "llm/loading.py", "llm/reinitialise.py"),
                *("llm/text_encoder.py", "model/tiger.py"),
            },
        ),
    ],
)
def test_only_these_import(library, users):
    found = {path for path in SOURCES if imports_any(path, [library])}
    assert {path.relative_to(PACKAGE).as_posix() for path in found} == users
