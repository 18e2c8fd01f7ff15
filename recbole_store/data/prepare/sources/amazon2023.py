"""Amazon reviews of 2023 (McAuley): reviews and metadata as JSON lines."""

from __future__ import annotations

from recbole_store.data.prepare.atomic_text import safe_id
from recbole_store.data.prepare.interactions import Interaction
from recbole_store.data.prepare.raw_files import Role
from recbole_store.data.prepare.raw_rows import json_rows, number_text, value_of
from recbole_store.data.prepare.sources.source import Source
from recbole_store.data.prepare.times import from_epoch


class Amazon2023(Source):
    """Items are ``parent_asin``: the products that metadata describe, whatever size or colour."""

    summary = "Amazon reviews of 2023: X.jsonl.gz and meta_X.jsonl.gz"
    roles = {
        "reviews": Role(("*.jsonl.gz", "*.jsonl")),
        "metadata": Role(("meta_*.jsonl.gz", "meta_*.jsonl"), required=False),
    }
    item_columns = {
        "title": "token_seq",
        "store": "token",
        "categories": "token_seq",
        "price": "float",
        "features": "",
        "description": "",
    }
    more_columns = {"rating": "float"}
    remark = "Times are seconds with the milliseconds of the raw data behind the point."

    def interactions(self, reader, files):
        return reader.read(
            json_rows(reader, files["reviews"]),
            lambda row: Interaction(
                safe_id(value_of(row, "user_id")),
                safe_id(value_of(row, "parent_asin")),
                from_epoch(value_of(row, "timestamp"), "ms"),
                (number_text(row.get("rating")),),
            ),
        )

    def items(self, reader, files):
        if "metadata" in files:
            yield from reader.read(
                json_rows(reader, files["metadata"]),
                lambda row: (safe_id(value_of(row, "parent_asin")), row),
            )
