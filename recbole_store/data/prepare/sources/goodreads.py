"""Goodreads (UCSD Book Graph): interactions and books as JSON lines."""

from __future__ import annotations

from recbole_store.data.prepare.atomic_text import safe_id
from recbole_store.data.prepare.interactions import Interaction
from recbole_store.data.prepare.raw_files import Role
from recbole_store.data.prepare.raw_rows import json_rows, number_text, value_of
from recbole_store.data.prepare.sources.source import Source
from recbole_store.data.prepare.times import from_format
from recbole_store.errors import BadValue


class Goodreads(Source):
    summary = "Goodreads: goodreads_interactions_X.json.gz and goodreads_books_X.json.gz"
    roles = {
        "interactions": Role(("goodreads_interactions*.json.gz", "goodreads_interactions*.json")),
        "books": Role(("goodreads_books*.json.gz", "goodreads_books*.json")),
        "authors": Role(
            ("goodreads_book_authors*.json.gz", "goodreads_book_authors*.json"), required=False
        ),
    }
    item_columns = {
        "title": "token_seq",
        "authors": "token_seq",
        "publisher": "token",
        "publication_year": "token",
        "description": "",
    }
    more_columns = {"rating": "float"}
    remark = "A time is when the book was put on a shelf (`date_added`)."

    def interactions(self, reader, files):
        return reader.read(
            json_rows(reader, files["interactions"]),
            lambda row: Interaction(
                safe_id(value_of(row, "user_id")),
                safe_id(value_of(row, "book_id")),
                # Thu Jan 05 10:44:24 -0800 2017
                from_format(value_of(row, "date_added"), "%a %b %d %H:%M:%S %z %Y"),
                (number_text(row.get("rating")),),
            ),
        )

    def items(self, reader, files):
        def author(row):
            return str(value_of(row, "author_id")), row.get("name")

        names = {}
        if "authors" in files:
            names = dict(reader.read(json_rows(reader, files["authors"]), author))

        def book(row):
            authors = row.get("authors") or []
            if not all(isinstance(author, dict) for author in authors):
                raise BadValue("`authors` is no list of objects")
            row["authors"] = [names.get(str(author.get("author_id"))) for author in authors]
            return safe_id(value_of(row, "book_id")), row

        yield from reader.read(json_rows(reader, files["books"]), book)
