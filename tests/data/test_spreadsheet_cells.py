"""What a spreadsheet would run is marked as text; numbers are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_store.data.spreadsheet_cells import harmless


@pytest.mark.parametrize("text", ["=1+1", "+1+cmd|'x'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1"])
def test_formulas_become_text(text):
    assert harmless(text) == "'" + text


@pytest.mark.parametrize("text", ["", "a=1", "-2.5", "+3", "1e-3", "-1e5", "Lamp", "'=1"])
def test_all_else_stays(text):
    assert harmless(text) == text


@given(st.text())
def test_no_text_is_a_formula(text):
    cell = harmless(text)
    assert cell.removeprefix("'") == text.removeprefix("'")
    try:
        float(cell)
    except ValueError:
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
