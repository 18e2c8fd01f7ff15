"""The report in headless Chromium: every chart is drawn, nothing fails, and it fits a phone."""

from __future__ import annotations

import shutil
from contextlib import contextmanager

import pytest

PHONE, DESKTOP = (360, 740), (1280, 900)
pytestmark = pytest.mark.slow


@contextmanager
def chromium():
    """Debian's chromium and chromium-driver; skipped where they are missing."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not browser or not driver:
        pytest.skip("chromium and chromium-driver are not installed (Debian's packages)")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    session = webdriver.Chrome(options, webdriver.ChromeService(driver))
    try:
        yield session
    finally:
        session.quit()


@pytest.fixture(scope="module")
def opened(report, tmp_path_factory):
    """Opens the report at a size and waits for its charts: ``opened(width, height)``."""
    from selenium.webdriver.support.ui import WebDriverWait

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
            drawn = "return document.documentElement.getAttribute('data-charts') === 'drawn'"
            WebDriverWait(session, 120).until(lambda page: page.execute_script(drawn))
            return session

        yield open_page


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_every_chart_is_drawn_and_the_console_is_silent(opened, report, size):
    page = opened(*size)
    drawn = page.execute_script(
        "return [...document.querySelectorAll('.chart')].map(div => [div.id, "
        "div.querySelectorAll('svg.main-svg .trace, svg.main-svg .bars, svg.main-svg .scatter')"
        ".length, div.getBoundingClientRect().width])"
    )
    expected = [i for i in report.page.attributes("id") if f"{i}-data" in report.page.scripts]
    assert [chart for chart, *_ in drawn] == expected and len(expected) > 10
    assert all(marks > 0 and width > 200 for _, marks, width in drawn), drawn
    assert page.get_log("browser") == []


def test_a_phone_needs_no_sideways_scrolling(opened):
    page = opened(*PHONE)
    page.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true })")
    assert page.execute_script("return document.scrollingElement.scrollWidth") <= PHONE[0]
    wider = (
        "return [...document.querySelectorAll('.scroll')].some(b => b.scrollWidth > b.clientWidth)"
    )
    assert page.execute_script(wider), "tables scroll in boxes of their own"


def test_a_press_on_a_model_hides_it_and_shows_it_again(opened):
    page = opened(*DESKTOP)
    script = """
        const button = document.querySelector('.legend button[data-label="STORE"]');
        button.click();
        const chart = button.closest('.charts').querySelector('.chart');
        return [button.getAttribute('aria-pressed'),
                chart.data.filter(t => t.name === 'STORE').map(t => t.visible)];
    """
    pressed, visible = page.execute_script(script)
    assert pressed == "false" and set(visible) == {False}
    pressed, visible = page.execute_script(script)
    assert pressed == "true" and set(visible) == {True}


def test_charts_take_the_colours_of_the_scheme(opened):
    colour = "return getComputedStyle(document.querySelector('.chart .xtick text')).fill"
    light = opened(*DESKTOP).execute_script(colour)
    dark = opened(*DESKTOP, scheme="dark").execute_script(colour)
    assert light != dark
