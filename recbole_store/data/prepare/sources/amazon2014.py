"""Amazon reviews of 2014 (McAuley): 5-core reviews, and metadata as Python literals."""

from __future__ import annotations

from recbole_store.data.prepare.atomic_text import safe_id
from recbole_store.data.prepare.interactions import Interaction
from recbole_store.data.prepare.raw_files import Role
from recbole_store.data.prepare.raw_rows import literal_rows, number_text, value_of
from recbole_store.data.prepare.sources.source import Source, flat
from recbole_store.data.prepare.times import from_epoch


class Amazon2014(Source):
    summary = "Amazon reviews of 2014: reviews_X_5.json.gz and meta_X.json.gz"
    roles = {
        "reviews": Role(("reviews_*.json.gz", "reviews_*.json", "*_5.json.gz", "*_5.json")),
        "metadata": Role(("meta_*.json.gz", "meta_*.json"), required=False),
    }
    item_columns = {
        "title": "token_seq",
        "brand": "token",
        "categories": "token_seq",
        "price": "float",
        "description": "",
    }
    more_columns = {"rating": "float"}
    remark = "Times are whole days: reviews of one user and day stand in the file's order."

    def interactions(self, reader, files):
        return reader.read(
            literal_rows(reader, files["reviews"]),
            lambda row: Interaction(
                safe_id(value_of(row, "reviewerID")),
                safe_id(value_of(row, "asin")),
                from_epoch(value_of(row, "unixReviewTime")),
                (number_text(row.get("overall")),),
            ),
        )

    def items(self, reader, files):
        def item(row):
            row["categories"] = flat(row.get("categories"))
            return safe_id(value_of(row, "asin")), row

        if "metadata" in files:
            yield from reader.read(literal_rows(reader, files["metadata"]), item)
