"""Charts: places by hand, names that do not stand on each other, nothing that is markup."""

from __future__ import annotations

import re

import pytest

from recbole_store.experiments.report.page import charts
from recbole_store.experiments.report.page.charts import Dot, Series, chart, dots


def test_dots_stand_between_the_lowest_and_the_highest_end():
    html = str(dots([Dot("A", 0.2, 0.1, 0.4), Dot("B", 0.1, None, None, "m1 rising")], "T"))
    # From 0.1 - 0.012 to 0.4 + 0.012: 4% on either side.
    assert '<i style="left:3.7%;right:calc(100% - 96.3%)"></i><b style="left:34.6%">' in html
    assert 'class="m1 rising"' in html and "Hollow and †: still rising" in html
    assert html.count("<i ") == 1 and "0.1000 to 0.4000" in html
    assert re.findall(r"<b style=[^>]*>([\d.]+)</b>", html) == ["0.1", "0.2", "0.3", "0.4"]


def test_equal_noughts_are_drawn():
    assert "0.0000" in dots([Dot("A", 0.0, 0.0, 0.0)], "T")
    assert "<circle" in chart([Series("A", [(1.0, 0.0)])], "T", "x", "y")


def circles(svg: str) -> list[tuple[float, float]]:
    return [
        (float(x), float(y)) for x, y in re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', svg)
    ]


def test_a_power_of_ten_is_as_wide_as_another():
    svg = str(
        chart([Series(n, [(x, 0.5)]) for n, x in (("a", 1), ("b", 10), ("c", 100))], "T", "x", "y")
    )
    (a, _), (b, _), (c, _) = circles(svg)
    assert b - a == pytest.approx(c - b, abs=0.2)
    assert charts.LEFT < a < charts.LEFT + 30 and charts.WIDTH - 30 < c < charts.WIDTH
    assert ["1", "2", "5", "10", "20", "50", "100"] == re.findall(r">(\d+)</text>", svg)


def test_what_took_no_time_has_no_place():
    assert chart([Series("A", [(0.0, 0.5)])], "T", "x", "y") == ""
    assert len(circles(str(chart([Series("A", [(0.0, 1.0), (1.0, 2.0)])], "T", "x", "y")))) == 1


def test_names_do_not_stand_on_each_other():
    """Twelve points in one place, as many models are alike."""
    series = [Series(f"MODEL:variant{n}", [(10 + n / 10, 0.06 + n / 1e4)]) for n in range(12)]
    svg = str(chart([*series, Series("Pop", [(0.01, 0.01)])], "T", "minutes", "NDCG@10"))
    names = re.findall(r'<text x="([\d.]+)" y="([\d.-]+)" text-anchor="(\w+)">(MODEL[^<]*)<', svg)
    boxes = []
    for x, y, anchor, name in names:
        width = charts.LETTER * len(name)
        start = float(x) - (width if anchor == "end" else 0)
        assert 0 <= start and start + width <= charts.WIDTH + 1
        boxes.append((start, start + width, float(y)))
    assert len(boxes) == 12
    for n, (left, right, y) in enumerate(boxes):
        for other_left, other_right, other_y in boxes[:n]:
            assert left >= other_right or right <= other_left or abs(y - other_y) >= charts.LINE


@pytest.mark.parametrize("place", [1, 3, 10, 30, 100])
def test_a_long_name_finds_its_place_wherever_its_point_is(place):
    ends = [Series("a", [(1.0, 0.1)]), Series("b", [(100.0, 0.2)])]
    svg = str(chart([*ends, Series("M" * 40, [(place, 0.15)])], "T", "x", "y"))
    x, y, anchor = re.search(r'<text x="([\d.]+)" y="([\d.]+)" text-anchor="(\w+)">M', svg).groups()
    start = float(x) - (40 * charts.LETTER if anchor == "end" else 0)
    assert -0.1 <= start <= charts.WIDTH - 40 * charts.LETTER + 0.1
    assert charts.TOP <= float(y) <= charts.HEIGHT - charts.BOTTOM


def test_no_name_is_markup():
    assert "<b>" not in chart([Series("<b>", [(1.0, 0.5)])], "<b>", "<b>", "<b>")
    assert "<b>" not in dots([Dot("<b>", 1.0, None, None)], "<b>")


@pytest.mark.parametrize(
    ("ends", "steps"), [((0.01, 0.07), [0.02, 0.04, 0.06]), ((0.0, 1.0), [0, 0.5, 1.0])]
)
def test_round_steps(ends, steps):
    assert charts._steps(*ends) == pytest.approx(steps)
