"""The report in headless Chromium: nothing fails, it fits a phone, both schemes can be read."""

from __future__ import annotations

import pytest
from chromium import chromium

PHONE, DESKTOP = (360, 740), (1280, 900)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def opened(report, tmp_path_factory):
    """Opens the report at a size, everything unfolded: ``opened(width, height)``."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(report.html, encoding="utf-8")
    with chromium() as session:

        def open_page(width, height, scheme="light"):
            size = {"width": width, "height": height, "deviceScaleFactor": 1}
            mobile = {**size, "mobile": width < 600}
            session.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", mobile)
            media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
            session.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
            # Whatever the page asked of a network would fail, and stand in the console.
            session.execute_cdp_cmd("Network.enable", {})
            offline = {"offline": True, "latency": 0, "downloadThroughput": 0}
            offline["uploadThroughput"] = 0
            session.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
            session.get(path.as_uri())
            unfold = "document.querySelectorAll('details').forEach(d => { d.open = true })"
            session.execute_script(unfold)
            return session

        yield open_page


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_charts_have_their_size_and_the_console_is_silent(opened, size):
    page = opened(*size)
    boxes = (
        "return [...document.querySelectorAll('svg, .dots')].map(e => e.getBoundingClientRect())"
    )
    drawn = page.execute_script(boxes)
    assert len(drawn) == 3 + 3, "dots, points and curves of each data set"
    assert all(box["width"] > 250 and box["height"] > 20 for box in drawn), drawn
    assert page.get_log("browser") == []


def test_a_phone_needs_no_sideways_scrolling(opened):
    page = opened(*PHONE)
    assert page.execute_script("return document.scrollingElement.scrollWidth") <= PHONE[0]
    wider = (
        "return [...document.querySelectorAll('.scroll')].some(b => b.scrollWidth > b.clientWidth)"
    )
    assert page.execute_script(wider), "tables scroll in boxes of their own"


def test_a_manager_needs_two_screens(opened):
    """The answers and the charts of a data set, and the first users of one that has them."""
    page = opened(*DESKTOP)
    height = (
        "return document.querySelector('{}').getBoundingClientRect().bottom"
        " - document.querySelector('{}').getBoundingClientRect().top"
    )
    assert page.execute_script(height.format(".charts", "body")) < DESKTOP[1]
    assert page.execute_script(height.format(".card", ".card")) < DESKTOP[1] / 2


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_lists_stand_side_by_side(opened, size):
    """Those that do not fit scroll inside their card."""
    page = opened(*size)
    tops = """
        return [...document.querySelectorAll('.lists')].map(
          lists => new Set([...lists.children].map(l => l.getBoundingClientRect().top)).size)
    """
    assert set(page.execute_script(tops)) == {1}


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_no_name_in_a_chart_stands_on_another(opened, size):
    """As drawn, not as estimated: names of charts with their sizes in the browser's own font."""
    overlapping = """
        const found = [];
        for (const svg of document.querySelectorAll('svg')) {
          const boxes = [...svg.querySelectorAll('g text')].map(t => t.getBoundingClientRect());
          boxes.forEach((a, n) => boxes.slice(0, n).forEach(b => {
            const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
            const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
            if (across > 1 && down > 4) found.push([a, b]);
          }));
        }
        return found;
    """
    assert opened(*size).execute_script(overlapping) == []


def test_charts_take_the_colours_of_the_scheme(opened):
    colour = "return getComputedStyle(document.querySelector('svg g text')).fill"
    light = opened(*DESKTOP).execute_script(colour)
    dark = opened(*DESKTOP, scheme="dark").execute_script(colour)
    assert light != dark
