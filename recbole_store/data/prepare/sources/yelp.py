"""Yelp's academic data set: reviews and businesses as JSON lines."""

from __future__ import annotations

from recbole_store.data.prepare.atomic_text import safe_id
from recbole_store.data.prepare.interactions import Interaction
from recbole_store.data.prepare.raw_files import Role
from recbole_store.data.prepare.raw_rows import json_rows, number_text, value_of
from recbole_store.data.prepare.sources.source import Source
from recbole_store.data.prepare.times import from_iso


class Yelp(Source):
    summary = "Yelp's academic data set: yelp_academic_dataset_review.json and _business.json"
    roles = {
        "reviews": Role(("*review.json", "*review.json.gz")),
        "businesses": Role(("*business.json", "*business.json.gz")),
    }
    item_columns = {
        "name": "token_seq",
        "categories": "token_seq",
        "city": "token",
        "state": "token",
    }
    more_columns = {"rating": "float"}

    def interactions(self, reader, files):
        return reader.read(
            json_rows(reader, files["reviews"]),
            lambda row: Interaction(
                safe_id(value_of(row, "user_id")),
                safe_id(value_of(row, "business_id")),
                from_iso(value_of(row, "date")),
                (number_text(row.get("stars")),),
            ),
        )

    def items(self, reader, files):
        def business(row):
            if isinstance(row.get("categories"), str):
                row["categories"] = row["categories"].split(", ")
            return safe_id(value_of(row, "business_id")), row

        return reader.read(json_rows(reader, files["businesses"]), business)
