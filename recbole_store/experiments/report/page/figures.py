"""Charts. Their colours of text and lines are the page's, so they are left to page.js."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

# Read well on white and on the dark page alike: contrast of at least 3 to both (a test).
COLOURS = ("#2f74d0", "#c8690f", "#2b9348", "#cf3f4f", "#8a5fd0", "#12899a", "#a0693f", "#c2509c")
COLOURS += ("#858000", "#737c86")
DASHES = ("solid", "dash", "dot", "dashdot")
SYMBOLS = ("circle", "diamond", "square", "triangle-up")


class Styles:
    """The same colour for a label in every chart; a second round of labels differs in shape."""

    def __init__(self, labels: Sequence[str]):
        self._position = {label: n for n, label in enumerate(labels)}

    def colour(self, label: str) -> str:
        """A colour of COLOURS."""
        return COLOURS[self._position[label] % len(COLOURS)]

    def dash(self, label: str) -> str:
        """The line's dashes."""
        return DASHES[self._position[label] // len(COLOURS) % len(DASHES)]

    def symbol(self, label: str) -> str:
        """The marker's shape."""
        return SYMBOLS[self._position[label] // len(COLOURS) % len(SYMBOLS)]

    def marker(self, label: str, hollow: bool, size: int) -> dict:
        """Colour and shape; hollow ones have an outline only."""
        shape = self.symbol(label) + ("-open" if hollow else "")
        outline = {"width": 2, "color": self.colour(label)}
        return {"color": self.colour(label), "symbol": shape, "size": size, "line": outline}


def in_chart(text: str) -> str:
    """Text of a data set for plotly, which reads a subset of HTML; isolated from its surroundings.

    Example: "<b>" -> "&lt;b&gt;" between U+2068 and U+2069
    """
    return f"\u2068{html.escape(text, quote=False)}\u2069"


def _figure(traces: list, **layout) -> go.Figure:
    figure = go.Figure(traces, layout={"template": "none"})
    figure.layout.template = None  # page.js gives what all charts share
    return figure.update_layout(showlegend=False, **layout)


def _rounded(values, digits: int = 5) -> list[float | None]:
    return [None if v is None or np.isnan(v) else round(float(v), digits) for v in values]


def _on_two_lines(label: str) -> str:
    return html.escape(label).replace(":", ":<br>")


def intervals(rows: list[tuple[str, float, float | None, bool]], metric: str, styles: Styles):
    """A point and its interval a label, the first label on top.

    Args:
        rows: label, mean, half the width of its interval if known, and whether it is hollow.
    """
    traces = [
        go.Scatter(
            x=_rounded([mean]),
            y=[_on_two_lines(label)],
            error_x={"type": "data", "array": _rounded([width]), "thickness": 1.5, "width": 4}
            if width is not None
            else None,
            mode="markers",
            name=label,
            marker=styles.marker(label, hollow, size=9),
            hovertemplate="%{x:.4f}<extra>" + html.escape(label) + "</extra>",
        )
        for label, mean, width, hollow in rows
    ]
    return _figure(
        traces,
        xaxis={"title": {"text": metric}, "rangemode": "tozero"},
        yaxis={"autorange": "reversed", "automargin": True, "showgrid": False},
    )


def curves(
    lines: list[tuple[str, int, list, list]],
    x_title: str,
    metric: str,
    styles: Styles,
    by_time: bool,
):
    """Learning curves.

    Args:
        lines: label, seed, and x and y of each evaluation.
        by_time: x are times, on a logarithmic axis.
    """
    traces = [
        go.Scatter(
            x=_rounded(x, 3),
            y=_rounded(y, 4),
            mode="lines+markers" if len(x) < 40 else "lines",
            name=label,
            line={"color": styles.colour(label), "dash": styles.dash(label), "width": 1.8},
            marker={"size": 4, "symbol": styles.symbol(label)},
            hovertemplate="%{x}: %{y:.4f}<extra>"
            + html.escape(f"{label}, seed {seed}")
            + "</extra>",
        )
        for label, seed, x, y in lines
    ]
    x_axis = {"title": {"text": x_title}, "rangemode": "tozero"}
    if by_time:
        x_axis = _logarithmic([minute for _, _, x, _ in lines for minute in x], x_title)
    axis = {"title": {"text": metric}, "rangemode": "tozero"}
    return _figure(traces, xaxis=x_axis, yaxis=axis)


def bars(names: list[str], rows: list[tuple[str, list, list]], metric: str, styles: Styles):
    """Groups of bars with intervals.

    Args:
        names: of the groups.
        rows: label, its value in each group, half the width of each interval; None is unknown.
    """
    traces = [
        go.Bar(
            x=names,
            y=_rounded(values),
            error_y={
                "type": "data",
                "array": _rounded([w or 0 for w in widths]),
                "thickness": 1,
                "width": 2,
            },
            name=label,
            marker={"color": styles.colour(label), "pattern": {"shape": _pattern(styles, label)}},
            hovertemplate="%{x}: %{y:.4f}<extra>" + html.escape(label) + "</extra>",
        )
        for label, values, widths in rows
    ]
    axis = {"title": {"text": metric}, "rangemode": "tozero"}
    return _figure(traces, barmode="group", bargap=0.25, xaxis={"showgrid": False}, yaxis=axis)


def _pattern(styles: Styles, label: str) -> str:
    return "" if styles.dash(label) == "solid" else "/"


def points(rows: list[tuple[str, float, float, bool]], x_title: str, metric: str, styles: Styles):
    """A point a label on a logarithmic x axis: seconds or minutes against quality.

    Args:
        rows: label, time, quality, and whether the point is hollow.
    """
    traces = [
        go.Scatter(
            x=_rounded([x]),
            y=_rounded([y]),
            mode="markers",
            name=label,
            marker=styles.marker(label, hollow, size=11),
            hovertemplate="%{x:.3g}: %{y:.4f}<extra>" + html.escape(label) + "</extra>",
        )
        for label, x, y, hollow in rows
    ]
    return _figure(
        traces,
        xaxis=_logarithmic([x for _, x, _, _ in rows], x_title),
        yaxis={"title": {"text": metric}, "rangemode": "tozero"},
    )


def _logarithmic(values: list[float], title: str) -> dict:
    """An axis of times, which differ by orders of magnitude."""
    logs = np.log10([value for value in values if value > 0] or [1.0])
    ends = [round(float(logs.min()) - 0.2, 2), round(float(logs.max()) + 0.2, 2)]
    powers = range(int(np.floor(ends[0])), int(np.ceil(ends[1])) + 1)
    digits = (1, 2, 5) if len(powers) < 5 else (1,)
    ticks = [digit * 10.0**power for power in powers for digit in digits]
    return {
        "title": {"text": title},
        "type": "log",
        "range": ends,
        "tickvals": ticks,
        "ticktext": [f"{tick:g}" for tick in ticks],
    }


def item_map(places: np.ndarray, codes: np.ndarray, names: list[str], semantic_ids: list[str]):
    """Items in the plane [N, 2], coloured by their first code [N], named on hover."""
    hues = (np.arange(int(codes.max()) + 1) * 137.508) % 360  # the golden angle: neighbours differ
    tones = [f"hsl({hue:.0f},55%,{45 + 12 * (n % 2)}%)" for n, hue in enumerate(hues)]
    trace = go.Scatter(
        x=np.round(places[:, 0], 1).tolist(),
        y=np.round(places[:, 1], 1).tolist(),
        mode="markers",
        name="items",
        text=[
            f"{in_chart(name)}<br>{semantic_id}"
            for name, semantic_id in zip(names, semantic_ids, strict=True)
        ],
        marker={
            "color": [int(code) for code in codes],
            "size": 5 if len(codes) > 1000 else 7,
            "opacity": 0.8,
        },
        hovertemplate="%{text}<extra></extra>",
    )
    figure = _figure([trace], hovermode="closest")
    colours = _steps(tones)
    figure.data[0].marker.update(colorscale=colours, cmin=-0.5, cmax=len(tones) - 0.5)
    hidden = {"visible": False}
    return figure.update_layout(xaxis=hidden, yaxis={**hidden, "scaleanchor": "x"})


def _steps(tones: list[str]) -> list[list]:
    """A colour scale of equal steps, one a code."""
    n = len(tones)
    return [
        [min(edge / n, 1.0), tone] for code, tone in enumerate(tones) for edge in (code, code + 1)
    ]
