"""What sections are made of: plain data, which page.html turns into HTML."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import plotly.graph_objects as go

_FIGURE = re.compile(r"[–<+−]?[\d.,]*[kM]?( ±[\d.]+)?")


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    ``mark`` is one of "", "best", "second", "target"; ``foreign`` is text of a data set, which may
    run from right to left.
    """

    text: str
    small: str = ""
    mark: str = ""
    foreign: bool = False


@dataclass(frozen=True)
class Table:
    """Rows begin with what they are about, figures follow."""

    id: str
    caption: str
    header: list[str]
    rows: list[list[Cell]]
    note: str = ""
    folded: bool = False  # shown when asked for
    wide: bool = False  # cells of text may break into lines
    kind: str = "table"

    @property
    def word_columns(self) -> set[int]:
        """Columns with a text that is no figure; figures are aligned to the right, words left."""
        return {
            n
            for row in self.rows
            for n, cell in enumerate(row)
            if cell.foreign or not _FIGURE.fullmatch(cell.text)
        }


@dataclass(frozen=True)
class Chart:
    """A chart that illustrates the table with the id ``table``."""

    id: str
    title: str
    figure: go.Figure
    table: str
    height: int = 320


@dataclass(frozen=True)
class Charts:
    """Charts side by side, and the labels whose colours they share."""

    charts: list[Chart]
    labels: list[str] = field(default_factory=list)
    note: str = ""
    kind: str = "charts"


@dataclass(frozen=True)
class Beside:
    """A table and the chart of its figures, side by side where there is room."""

    table: Table
    charts: Charts
    kind: str = "beside"


@dataclass(frozen=True)
class Paragraph:
    """A paragraph; ``missing`` says that something cannot be shown."""

    text: str
    missing: bool = False
    kind: str = "paragraph"


@dataclass(frozen=True)
class Facts:
    """Terms and what is to be said of each; ``anchors`` are ids of terms that are linked to."""

    pairs: list[tuple[str, str]]
    anchors: dict[str, str] = field(default_factory=dict)
    kind: str = "facts"


@dataclass(frozen=True)
class Example:
    """One user: the history, the target, and each model's recommendations as a table."""

    user: str
    said: str
    history: list[str]
    target: str
    table: Table
    kind: str = "example"


Block = Table | Charts | Beside | Paragraph | Facts | Example


@dataclass(frozen=True)
class Section:
    """A heading with an anchor, and what stands below it."""

    id: str
    title: str
    blocks: list[Block]


def missing(text: str) -> Paragraph:
    """What cannot be shown, and why."""
    return Paragraph(text, missing=True)
