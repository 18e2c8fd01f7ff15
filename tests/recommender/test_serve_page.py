"""The page of the service in headless Chromium, at desk and phone width."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from chromium import chromium

pytest.importorskip("fastapi")
pytestmark = pytest.mark.slow
PHONE, DESKTOP = (360, 740), (1280, 900)


@pytest.fixture(scope="module")
def address(finished, tmp_path_factory):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    words = [sys.executable, "-m", "recbole_store.cli", "serve", str(finished("STORE").folder)]
    process = subprocess.Popen(
        [*words, "--port", str(port), "--device", "cpu"],
        cwd=tmp_path_factory.mktemp("serve"),
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    address = f"http://127.0.0.1:{port}/"
    for _ in range(600):
        try:
            urllib.request.urlopen(f"{address}health", timeout=5).close()
            break
        except OSError:
            time.sleep(0.2)
    yield address
    process.terminate()
    process.wait()


@pytest.fixture(scope="module")
def browser():
    with chromium() as session:
        yield session


def until(browser, script: str, seconds: float = 60):
    """What a script returns once it is true."""
    for _ in range(int(seconds * 10)):
        if found := browser.execute_script(f"return {script}"):
            return found
        time.sleep(0.1)
    raise AssertionError(script)


TYPE = """
const field = document.getElementById('query');
field.value = arguments[0];
field.dispatchEvent(new Event('input'));
"""


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_a_history_is_clicked_together_and_explained(browser, address, size):
    width, height = size
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(address)
    until(browser, "document.querySelectorAll('#list li').length === 10")
    assert "most people" in browser.execute_script("return document.body.innerText")
    for words in ("red circle", "red square"):
        browser.execute_script(TYPE, words)
        until(browser, "document.querySelectorAll('#found button').length === 1")
        browser.execute_script("document.querySelector('#found button').click()")
        until(browser, "document.querySelectorAll('#found button').length === 0")
    until(browser, "document.querySelectorAll('#history li').length === 2")
    first = "document.querySelector('#list button')"
    until(browser, f"{first} && {first}.innerText.startsWith('red star')")
    assert "codes" in browser.execute_script(f"return {first}.innerText")
    browser.execute_script(f"{first}.click()")
    reasons = until(browser, "document.querySelector('#list dl')?.innerText")
    assert "by codes" in reasons and "red square" in reasons and "code 1" in reasons
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert browser.execute_script(f"return {overflow}") == 0
    heights = "[...document.querySelectorAll('li button')].map(b => b.offsetHeight)"
    assert min(browser.execute_script(f"return {heights}")) >= 44  # a finger's width
    browser.execute_script("document.querySelector('#history button').click()")
    until(browser, "document.querySelectorAll('#history li').length === 1")
    browser.execute_script("document.getElementById('clear').click()")
    until(browser, "document.querySelectorAll('#history li').length === 0")
    assert [entry["message"] for entry in browser.get_log("browser")] == []
