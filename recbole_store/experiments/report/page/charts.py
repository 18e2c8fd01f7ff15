"""Charts as markup: rows of dots with intervals, and lines or points over a logarithmic axis.

Colours are the page's own, by class, so that they fit both schemes.
"""

from __future__ import annotations

import math
from itertools import product
from typing import NamedTuple

from markupsafe import Markup

from recbole_store.experiments.report.tables.layout import breakable

# Of a chart, in units of which its letters are 12 high and less than 7 wide.
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 400, 280, 44, 8, 18, 36
LETTER, LINE = 6.6, 13


class Dot(NamedTuple):
    """A figure with its interval, if that is known; ``classes``: m0, the colour, and rising."""

    label: str
    value: float
    low: float | None
    high: float | None
    classes: str = "m0"


def dots(rows: list[Dot], title: str) -> Markup:
    """A line a label: its name, its place on a common scale, its figure; below them the scale."""
    ends = [x for row in rows for x in (row.low, row.high, row.value) if x is not None]
    margin = 0.04 * (max(ends) - min(ends)) or 0.5 * abs(max(ends)) or 1.0
    low, high = min(ends) - margin, max(ends) + margin

    def place(value: float) -> str:
        return f"{100 * (value - low) / (high - low):.1f}%"

    lines = []
    for row in rows:
        interval = said = ""
        if row.low is not None:
            ends = f"left:{place(row.low)};right:calc(100% - {place(row.high)})"
            interval = Markup('<i style="{}"></i>').format(ends)
            said = f"{row.low:.4f} to {row.high:.4f}"
        lines.append(
            Markup(
                '<li class="{}"><span>{}</span><span class=strip>{}<b style="left:{}"></b></span>'
                "<span>{:.4f} <small>{}</small></span></li>"
            ).format(
                *(row.classes, breakable(row.label), interval, place(row.value), row.value, said)
            )
        )
    steps = [(place(x), f"{x:g}") for x in _steps(low, high)]
    scale = Markup("").join(Markup('<b style="left:{}">{}</b>').format(*step) for step in steps)
    below = "<li class=scale aria-hidden=true><span></span><span class=strip>{}</span></li>"
    lines.append(Markup(below).format(scale))
    is_rising = any("rising" in row.classes for row in rows)
    note = "<p class=note>Hollow and †: still rising when its training ended.</p>"
    return Markup("<figure><figcaption>{}</figcaption><ul class=dots>{}</ul>{}</figure>").format(
        title, Markup("\n").join(lines), Markup(note if is_rising else "")
    )


class Series(NamedTuple):
    """Points (x, y) of one label, a line if there are several; without a name for context."""

    label: str
    points: list[tuple[float, float]]
    classes: str = "m0"
    is_named: bool = True


def chart(series: list[Series], title: str, x_title: str, y_title: str) -> Markup:
    """Lines or points over a logarithmic x, each named beside its end; empty without an x > 0."""
    drawn = [one._replace(points=[p for p in one.points if p[0] > 0]) for one in series]
    drawn = sorted((one for one in drawn if one.points), key=lambda one: one.is_named)
    if not drawn:
        return Markup("")
    logs = [math.log10(x) for one in drawn for x, _ in one.points]
    first, last = min(logs) - 0.1, max(logs) + 0.1
    values = [y for one in drawn for _, y in one.points]
    margin = 0.1 * (max(values) - min(values)) or 0.1 * max(values) or 1.0
    low, high = max(0.0, min(values) - margin), max(values) + margin

    def at(x: float, y: float) -> tuple[float, float]:
        right, up = (math.log10(x) - first) / (last - first), (y - low) / (high - low)
        across, down = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        return round(LEFT + right * across, 1), round(HEIGHT - BOTTOM - up * down, 1)

    parts = [_text(2, TOP - 7, y_title), _text(WIDTH / 2, HEIGHT - 4, x_title, "middle")]
    parts.append(_line(at(10**first, low), at(10**last, low)))
    for y in _steps(low, high):
        parts.append(_line(at(10**first, y), at(10**last, y)))
        parts.append(_text(LEFT - 5, at(1, y)[1] + 4, f"{y:g}", "end"))
    for x in _powers(first, last):
        parts.append(_text(at(x, low)[0], HEIGHT - BOTTOM + 15, f"{x:g}", "middle"))
    ends = [at(*one.points[-1]) for one in drawn]
    taken = [(x - 5, x + 5, y + 4) for one, (x, y) in zip(drawn, ends, strict=True) if one.is_named]
    for one, end in zip(drawn, ends, strict=True):
        path = " ".join(f"{x},{y}" for x, y in (at(*point) for point in one.points))
        line = Markup('<polyline points="{}"/>').format(path) if len(one.points) > 1 else ""
        named, radius = (_name(one.label, end, taken), 4) if one.is_named else ("", 2)
        parts.append(
            Markup('<g class="{}"><title>{}</title>{}{}<circle cx="{}" cy="{}" r={} /></g>').format(
                one.classes, f"{one.label}: {one.points[-1][1]:.4f}", line, named, *end, radius
            )
        )
    return Markup(
        '<figure><figcaption>{0}</figcaption><svg viewBox="0 0 {1} {2}" role=img aria-label="{0}. '
        'The figures are in the tables.">{3}</svg></figure>'
    ).format(title, WIDTH, HEIGHT, Markup("\n").join(parts))


def _line(start: tuple[float, float], end: tuple[float, float], name: str = "grid") -> Markup:
    return Markup('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(name, *start, *end)


def _text(x: float, y: float, text: str, anchor: str = "start") -> Markup:
    return Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(x, y, anchor, text)


def _name(text: str, place: tuple[float, float], taken: list[tuple]) -> Markup:
    """Beside a point, as near as nothing else stands, with a line to it from further away."""
    (x, y), width = place, LETTER * len(text)
    across = max(0.0, min(x - width / 2, WIDTH - width))  # above or below, if not beside
    for step, start in product(sorted(range(-80, 81), key=abs), (x + 9, x - 9 - width, across)):
        line = y + 4 + step * LINE / 4
        fits = 0 <= start <= WIDTH - width and TOP <= line <= HEIGHT - BOTTOM - 2
        if fits and all(
            start >= right or start + width <= left or abs(line - other) >= LINE
            for left, right, other in taken
        ):
            break
    taken.append((start, start + width, line))
    is_left = start == x - 9 - width
    end = x - 9 if is_left else start
    near = (max(end, min(x, start + width)), line - 4)
    leader = _line((x, y), near, "leader") if abs(step) > 2 else ""
    return leader + _text(round(end, 1), line, text, "end" if is_left else "start")


def _steps(low: float, high: float) -> list[float]:
    """Some four round numbers: (0.01, 0.07) -> 0.02, 0.04, 0.06"""
    raw = (high - low) / 4
    size = 10 ** math.floor(math.log10(raw))
    step = next(size * n for n in (1, 2, 5, 10) if size * n >= raw)
    places = range(math.ceil(low / step), math.floor(high / step) + 1)
    return [round(n * step, 10) for n in places]


def _powers(first: float, last: float) -> list[float]:
    """Round numbers between powers of ten: (-0.3, 2.6) -> 1, 10, 100; fewer powers: 1, 2, 5, 10"""
    digits = (1, 2, 5) if last - first < 2.5 else (1,)
    powers = range(math.floor(first), math.ceil(last) + 1)
    ticks = [digit * 10.0**power for power in powers for digit in digits]
    return [tick for tick in ticks if first <= math.log10(tick) <= last]
