"""Items' titles, where the data lie and where not."""

from __future__ import annotations

from pathlib import Path

import pytest

from recbole_store.data.item_texts import title_of
from recbole_store.data.item_titles import read_item_titles, shortened
from recbole_store.errors import ItemTextError


@pytest.fixture
def films() -> Path:
    Path("data/films").mkdir(parents=True)
    rows = ["item_id:token\ttitle:token_seq\tposter:token", "7\tAlien\thttps://x.org/7.jpg"]
    rows += ["8\tHeat\tjavascript:alert(1)", f"9\t{'A long one ' * 30_000}\t"]
    Path("data/films/films.item").write_text("\n".join(rows) + "\n")
    return Path("data")


def test_titles_by_raw_id(films):
    found = read_item_titles(films, "films", {"7", "8", "unknown"})
    assert [found.title(raw_id) for raw_id in ("7", "8", "unknown")] == ["Alien", "Heat", "unknown"]
    assert found.images == {}, "not asked for"


def test_a_long_text_is_shown_on_one_line(films):
    """Of more than 128 KB, where Python's own CSV reader gives up."""
    assert len(read_item_titles(films, "films", {"9"}).title("9")) <= 60


def test_images_are_addresses_of_the_web_alone(films):
    assert read_item_titles(films, "films", {"7", "8"}, "poster").images == {
        "7": "https://x.org/7.jpg"
    }


@pytest.mark.parametrize("name", ["books", "../data/films", "/etc"])
def test_without_the_data_ids_are_shown(films, name):
    assert read_item_titles(films, name, {"7"}).title("7") == "7"


def test_a_broken_file_is_told_of(films):
    Path("data/films/films.item").write_text("item_id:token\ttitle:token_seq\n7\n")
    with pytest.raises(ItemTextError, match="films.item, line 2"):
        read_item_titles(films, "films", {"7"})


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"brand": "OPI", "title": "Nail Lacquer: Red"}, "Nail Lacquer: Red"),
        ({"class": "Comedy", "movie_title": "Toy Story", "release_year": "1995"}, "Toy Story"),
        ({"name": " Café 21", "categories": "Bars"}, "Café 21"),
        ({"colour": "red", "shape": "cube"}, "colour: red shape: cube"),
        ({"colour": "red", "title": " "}, "colour: red"),
        ({}, ""),
    ],
)
def test_the_title_is_found_among_the_columns(row, expected):
    templates = {column: column + ": {}" for column in row}
    assert title_of(row, templates) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("short", "short"),
        ("a  b\nc", "a b c"),
        ("one two three four", "one two…"),
        ("x" * 20, "x" * 9 + "…"),
    ],
)
def test_shortened(text, expected):
    assert shortened(text, most=10) == expected
