"""Columns are told by their names, times' units by their size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_store.data.prepare.column_guesses import (
    ROLES,
    guess_column,
    guess_texts,
    guess_unit,
)


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        (["InvoiceNo", "StockCode", "Description", "InvoiceDate", "CustomerID"], 410),
        (["user_id", "business_id", "date", "stars"], 12),
        (["reviewerID", "asin", "overall", "unixReviewTime"], 1),
        (["event_time", "event_type", "product_id", "category_code", "user_id"], 420),
        (["order_id", "customer", "sku", "ordered_at"], 123),
        (["listener", "track", "played_at"], 12),
        (["Kunde", "Artikelnummer", "Datum"], 12),
    ],
)
def test_headers_of_well_known_tables(columns, found):
    """``found``: places of user, item and time, as digits; a missing time has none."""
    guessed = [guess_column(role, columns) for role in ("user", "item", "time")]
    expected = {
        410: ("CustomerID", "StockCode", "InvoiceDate"),
        420: ("user_id", "product_id", "event_time"),
        123: ("customer", "sku", "ordered_at"),
    }
    if found in expected:
        assert tuple(guessed) == expected[found]
    else:
        places = [columns.index(name) for name in guessed if name]
        assert len(places) == len(set(places)) >= 2


def test_the_more_telling_name_wins_and_taken_columns_do_not_count():
    assert guess_column("user", ["customer", "user_id"]) == "user_id"
    assert guess_column("user", ["customer", "user_id"], taken=["user_id", None]) == "customer"
    assert guess_column("item", ["qty", "amount", "order_id"]) is None


def test_texts():
    assert guess_texts(["id", "Brand", "price", "Product Name"]) == ["Product Name", "Brand"]
    assert guess_texts(["name", "title", "author"], of_items=False) == ["title"]


@given(st.lists(st.text(), max_size=8))
def test_any_header(columns):
    for role in ROLES:
        found = guess_column(role, columns)
        assert found is None or found in columns
    assert set(guess_texts(columns)) <= set(columns)


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        ([], None),
        (["2014-07-23"], None),
        (["2014-07-23", "5"], None),
        ([1.5e9, "", None, "1500000001", 1500000002], "s"),
        ([0, 1_588_615_855_070, 1_588_615_855_071], "ms"),
        ([float("nan")] * 3, None),
        ([3, 1, 2], "s"),
        ([True, [1], {}], None),
        ([-1_588_615_855_070], "ms"),
    ],
)
def test_units(values, unit):
    assert guess_unit(values) == unit
