"""One table, and how a console, Markdown and a page show it."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field

from markupsafe import Markup, escape

CONSOLE_WIDTH = 120
LONGEST_CELL = 40  # characters of a line in a console's cell
_MARKDOWN = {"": "{}", "best": "**{}**", "second": "*{}*"}
_HTML = {"": "{}", "best": "<strong>{}</strong>", "second": "<u>{}</u>"}
_LEGENDS = {
    "markdown": "**Best** and *second best* of a column.",
    "html": "The best of a column is bold on a tint, the second best underlined.",
}


@dataclass(frozen=True)
class Cell:
    """A figure or words; ``beside`` is quieter, such as ``±0.0011``; ``mark``: best or second."""

    text: str
    beside: str = ""
    mark: str = ""

    def __str__(self) -> str:
        return f"{self.text} {self.beside}".rstrip()


@dataclass(frozen=True)
class Table:
    """Header and rows, a cell being a text or a :class:`Cell`, with sentences that belong below."""

    title: str
    header: list[str]
    rows: list[list[str | Cell]]
    notes: list[str] = field(default_factory=list)
    n_text_columns: int = 1  # the first columns hold words, the others numbers

    @property
    def is_marked(self) -> bool:
        """Whether a cell is the best of its column."""
        return any(isinstance(cell, Cell) and cell.mark for row in self.rows for cell in row)


def as_text(table: Table, width: int = CONSOLE_WIDTH) -> str:
    """For a console: columns aligned, long words on several lines, no line beyond ``width``.

    Columns that do not fit stand below, behind the first one again.
    """
    cells = [[_lines(str(cell)) for cell in row] for row in [table.header, *table.rows]]
    columns = zip(*cells, strict=True)
    widths = [max(len(line) for cell in column for line in cell) for column in columns]
    blocks: list[list[int]] = [[0]]
    for column in range(1, len(widths)):
        if sum(widths[n] + 2 for n in [*blocks[-1], column]) - 2 > width and blocks[-1] != [0]:
            blocks.append([0])
        blocks[-1].append(column)
    parts = []
    for block in blocks:
        lines = [line for row in cells for line in _row_lines(row, block, widths, table)]
        n_heads = max(len(cells[0][column]) for column in block)
        rule = "  ".join("-" * widths[column] for column in block)
        parts.append("\n".join([*lines[:n_heads], rule, *lines[n_heads:]]))
    notes = [textwrap.fill(note, width) for note in table.notes]
    return "\n".join([textwrap.fill(table.title, width), "\n\n".join(parts), *notes])


def _lines(text: str) -> list[str]:
    return textwrap.wrap(text, LONGEST_CELL, break_on_hyphens=False) or [""]


def _row_lines(row: list[list[str]], block: list[int], widths: list[int], table: Table):
    for n in range(max(len(row[column]) for column in block)):
        aligned = []
        for column in block:
            line = row[column][n] if n < len(row[column]) else ""
            is_words = column < table.n_text_columns
            aligned.append(line.ljust(widths[column]) if is_words else line.rjust(widths[column]))
        yield "  ".join(aligned).rstrip()


def as_markdown(table: Table) -> str:
    """For README."""

    def cell(value: str | Cell) -> str:
        if isinstance(value, Cell):
            value = str(Cell(_MARKDOWN[value.mark].format(value.text), value.beside))
        return value.replace("|", r"\|").replace("\n", " ")

    words = table.n_text_columns
    rule = ["---"] * words + ["---:"] * (len(table.header) - words)
    lines = [[cell(value) for value in row] for row in [table.header, rule, *table.rows]]
    body = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    notes = [*table.notes, *([_LEGENDS["markdown"]] if table.is_marked else [])]
    return "\n\n".join(filter(None, [f"**{table.title}**", body, " ".join(notes)]))


def as_html(table: Table) -> Markup:
    """For a page: in a box that scrolls sideways by itself, the title as its caption."""

    def cell(value: str | Cell, column: int) -> Markup:
        value = value if isinstance(value, Cell) else Cell(value)
        inner = Markup(_HTML[value.mark]).format(breakable(value.text))
        if value.beside:
            inner += Markup(" <small>{}</small>").format(value.beside)
        if column == 0:
            return Markup('<th scope="row">{}</th>').format(inner)
        classes = " ".join(filter(None, [value.mark, "words" if column < words else ""]))
        named = Markup(' class="{}"').format(classes) if classes else ""
        return Markup("<td{}>{}</td>").format(named, inner)

    words = table.n_text_columns
    head = Markup("").join(
        Markup("<th scope=col{}>{}</th>").format(Markup(" class=words") if n < words else "", name)
        for n, name in enumerate(table.header)
    )
    body = Markup("\n").join(
        Markup("<tr>{}</tr>").format(Markup("").join(map(cell, row, range(len(row)))))
        for row in table.rows
    )
    notes = [*table.notes, *([_LEGENDS["html"]] if table.is_marked else [])]
    below = Markup("<p class=note>{}</p>").format(" ".join(notes)) if notes else ""
    return Markup(
        '<div class=scroll tabindex=0 role=region aria-label="{0}"><table><caption><span>{0}</span>'
        "</caption><thead><tr>{1}</tr></thead><tbody>\n{2}\n</tbody></table></div>{3}"
    ).format(table.title, head, body, below)


def breakable(text: str) -> Markup:
    """A text whose long names may break into lines after ``:`` and ``_``."""
    escaped = str(escape(text))
    return Markup(escaped.replace("_", "_<wbr>").replace(":", ":<wbr>"))
