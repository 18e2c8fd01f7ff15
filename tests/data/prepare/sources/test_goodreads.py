"""Goodreads: dates with offsets, authors in a file of their own."""

from __future__ import annotations


def shelf(user, book, date):
    return {"user_id": user, "book_id": book, "rating": 0, "date_added": date}


FILES = {
    "goodreads_interactions_toy.json.gz": [
        shelf("u", "10", "Thu Jan 01 01:00:00 -0800 1970"),
        shelf("u", "11", "Thu Jan 01 01:00:00 +0000 1970"),
        shelf("v", "10", ""),
    ],
    "goodreads_books_toy.json.gz": [
        {
            "book_id": "10",
            "title": "W.C. Fields",
            "authors": [{"author_id": "7", "role": ""}, {"author_id": "8"}],
            "publisher": "St. Martin's Press",
            "publication_year": "1984",
            "description": "",
        },
        {"book_id": "11", "title": "", "authors": [], "publication_year": ""},
    ],
}


def test_files(prepare):
    authors = {"goodreads_book_authors.json.gz": [{"author_id": "7", "name": "Ronald  Fields"}]}
    prepared = prepare("goodreads", {**FILES, **authors})
    assert prepared.lines("inter")[1:] == ["u\t11\t0\t3600", "u\t10\t0\t32400"]
    assert prepared.card["rows"]["incomplete"] == 1
    assert prepared.lines("item")[1:] == [
        "10\tW.C. Fields\tRonald_Fields\tSt. Martin's Press\t1984",
        "11\t\t\t\t",
    ]
    assert prepared.texts["10"]["authors"] == ["Ronald  Fields"]


def test_without_the_authors(prepare):
    assert prepare("goodreads", FILES).texts["10"]["authors"] == []


def test_a_date_that_is_none(refused):
    bad = {**FILES, "goodreads_interactions_toy.json.gz": [shelf("u", "1", "2017-01-01")]}
    assert "line 1: the time '2017-01-01' does not fit" in refused("goodreads", bad)
