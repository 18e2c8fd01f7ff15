"""A table of texts -> lines for a console or for Markdown."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Table:
    """Header and rows of texts, with sentences that belong below."""

    title: str
    header: list[str]
    rows: list[list[str]]
    notes: list[str] = field(default_factory=list)
    n_text_columns: int = 1  # the first columns hold words, the others numbers


def as_text(table: Table) -> str:
    """For a console, columns aligned."""
    lines = [table.header, ["-" * w for w in _widths(table)], *table.rows]
    body = ["  ".join(_aligned(row, table)).rstrip() for row in lines]
    return "\n".join([table.title, *body, *table.notes])


def _widths(table: Table) -> list[int]:
    return [max(map(len, column)) for column in zip(table.header, *table.rows, strict=True)]


def _aligned(row: list[str], table: Table) -> list[str]:
    widths = enumerate(zip(row, _widths(table), strict=True))
    words = table.n_text_columns
    return [cell.ljust(w) if i < words else cell.rjust(w) for i, (cell, w) in widths]


def as_markdown(table: Table) -> str:
    """For README."""
    words = table.n_text_columns
    rule = ["---"] * words + ["---:"] * (len(table.header) - words)
    body = ["| " + " | ".join(line) + " |" for line in (table.header, rule, *table.rows)]
    parts = [f"**{table.title}**", "\n".join(body)]
    return "\n\n".join([*parts, *([" ".join(table.notes)] if table.notes else [])])
