"""The house in figures: ``python tests/house.py [REVISION ...]``, today's checkout without one.

Rooms are the packages and loose modules right below ``recbole_store``; an arrow is a room that
imports another; a circle is a set of rooms, or of modules, that import each other.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "recbole_store"
ALLOWED_LOOSE = {"__init__.py", "errors.py"}


def sources(revision: str | None) -> dict[str, str]:
    """Path -> text of the package's modules and STORE's properties."""
    if revision is None:
        paths = [*ROOT.glob(f"{PACKAGE}/**/*.py"), ROOT / "properties/model/STORE.yaml"]
        return {p.relative_to(ROOT).as_posix(): p.read_text(encoding="utf-8") for p in paths}

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(ROOT), *words], check=True, capture_output=True, text=True
        ).stdout

    names = git("ls-tree", "-r", "--name-only", revision, PACKAGE, "properties/model").split()
    wanted = [n for n in names if n.endswith(".py") or n.endswith("/STORE.yaml")]
    return {name: git("show", f"{revision}:{name}") for name in wanted}


def module_of(path: str) -> str:
    """Example: "recbole_store/data/__init__.py" -> "recbole_store.data" """
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imported(path: str, text: str, modules: set[str]) -> set[str]:
    """Modules of the package that a module imports, inside functions too."""
    own, found = module_of(path), set()
    for node in ast.walk(ast.parse(text)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        found |= {name for name in names if name in modules and name != own}
    return found


def circles(arrows: dict[str, set[str]]) -> int:
    """How many sets of nodes reach each other (strongly connected, of two or more)."""

    def reach(start: str) -> set[str]:
        seen, left = set(), [start]
        while left:
            for node in arrows.get(left.pop(), ()):
                if node not in seen:
                    seen.add(node)
                    left.append(node)
        return seen

    reached = {node: reach(node) for node in arrows}
    knots = {
        frozenset(other for other in arrows if other in reached[node] and node in reached[other])
        for node in arrows
        if node in reached[node]
    }
    return len({knot for knot in knots if len(knot) > 1})


def figures(revision: str | None) -> dict:
    """Rooms, arrows, circles, loose modules, STORE's keys, and lines by room."""
    texts = sources(revision)
    keys = re.findall(r"^[A-Za-z_]+:", texts["properties/model/STORE.yaml"], re.MULTILINE)
    code = {path: text for path, text in texts.items() if path.endswith(".py")}
    modules = {module_of(path) for path in code} - {PACKAGE}
    by_module = {
        module_of(path): imported(path, text, modules)
        for path, text in code.items()
        if module_of(path) != PACKAGE
    }

    def room(module: str) -> str:
        return module.split(".")[1]

    by_room: dict[str, set[str]] = {}
    for module, names in by_module.items():
        by_room.setdefault(room(module), set()).update(
            room(name) for name in names if room(name) != room(module)
        )
    lines: Counter = Counter()
    for path, text in code.items():
        if module_of(path) != PACKAGE:
            lines[room(module_of(path))] += text.count("\n")
    loose = [p for p in code if p.count("/") == 1 and Path(p).name not in ALLOWED_LOOSE]
    return {
        "rooms": len(by_room),
        "arrows": sum(map(len, by_room.values())),
        "circles of rooms": circles(by_room),
        "circles of modules": circles(by_module),
        "loose modules": len(loose),
        "keys of STORE": len(keys),
        "lines": dict(lines.most_common()),
    }


def main(revisions: list[str]) -> None:
    for revision in revisions or [None]:
        print(revision or "this checkout")
        for name, value in figures(revision).items():
            print(f"  {name}: {value}")


if __name__ == "__main__":
    main(sys.argv[1:])
