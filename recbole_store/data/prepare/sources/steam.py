"""Steam (McAuley): reviews and games as Python literals."""

from __future__ import annotations

from recbole_store.data.prepare.atomic_text import safe_id
from recbole_store.data.prepare.interactions import Interaction
from recbole_store.data.prepare.raw_files import Role
from recbole_store.data.prepare.raw_rows import literal_rows, value_of
from recbole_store.data.prepare.sources.source import Source
from recbole_store.data.prepare.times import from_iso


class Steam(Source):
    """Users are ``username``, as in SASRec: most reviews have no ``user_id``."""

    summary = "Steam: steam_reviews.json.gz (or steam_new) and steam_games.json.gz"
    roles = {
        "reviews": Role(("steam_reviews.json*", "steam_new.json*", "*reviews*.json*")),
        "games": Role(("steam_games.json*",)),
    }
    item_columns = {
        "title": "token_seq",
        "developer": "token",
        "genres": "token_seq",
        "tags": "token_seq",
        "price": "float",
    }
    remark = "Times are whole days: reviews of one user and day stand in the file's order."

    def interactions(self, reader, files):
        return reader.read(
            literal_rows(reader, files["reviews"]),
            lambda row: Interaction(
                safe_id(value_of(row, "username")),
                safe_id(value_of(row, "product_id")),
                from_iso(value_of(row, "date")),
            ),
        )

    def items(self, reader, files):
        def game(row):
            row["title"] = row.get("app_name") or row.get("title")
            return safe_id(row.get("id")), row  # a few games have none, nor any review

        return reader.read(literal_rows(reader, files["games"]), game)
