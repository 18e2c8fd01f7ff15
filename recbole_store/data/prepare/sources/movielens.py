"""MovieLens in all its layouts: 100K, 1M, 10M, and the CSV files of 20M, 25M, 32M and latest."""

from __future__ import annotations

import re

from recbole_store.data.prepare.atomic_text import safe_id
from recbole_store.data.prepare.interactions import Interaction
from recbole_store.data.prepare.raw_files import Role
from recbole_store.data.prepare.raw_rows import delimited_rows, number_text, value_of
from recbole_store.data.prepare.sources.source import Source
from recbole_store.data.prepare.times import from_epoch

RATING_COLUMNS = ["userId", "movieId", "rating", "timestamp"]
MOVIE_COLUMNS = ["movieId", "title", "genres"]
# The flags at the end of u.item, in the order of u.genre.
GENRES_100K = (
    "unknown Action Adventure Animation Children's Comedy Crime Documentary Drama Fantasy "
    "Film-Noir Horror Musical Mystery Romance Sci-Fi Thriller War Western"
).split()
ITEM_COLUMNS_100K = ["movieId", "title", "released", "video_released", "url", *GENRES_100K]
NO_GENRES = "(no genres listed)"


class MovieLens(Source):
    summary = "MovieLens 100K, 1M, 10M, 20M, 25M, 32M or latest, as folder or zip archive"
    roles = {
        "ratings": Role(("ratings.csv", "ratings.dat", "u.data")),
        "movies": Role(("movies.csv", "movies.dat", "u.item")),
    }
    item_columns = {"title": "token_seq", "release_year": "token", "genres": "token_seq"}
    more_columns = {"rating": "float"}

    def interactions(self, reader, files):
        return reader.read(
            _rows(reader, files["ratings"], RATING_COLUMNS),
            lambda row: Interaction(
                safe_id(value_of(row, "userId")),
                safe_id(value_of(row, "movieId")),
                from_epoch(value_of(row, "timestamp")),
                (number_text(row.get("rating")),),
            ),
        )

    def items(self, reader, files):
        file = files["movies"]
        is_100k = file.name == "u.item"

        def movie(row):
            title, year = title_and_year(value_of(row, "title"))
            if is_100k:
                genres = [genre for genre in GENRES_100K if row[genre] == "1"]
            else:
                named = value_of(row, "genres")
                genres = named.split("|") if named != NO_GENRES else []
            item = {"title": title, "release_year": year, "genres": genres}
            return safe_id(value_of(row, "movieId")), item

        columns = ITEM_COLUMNS_100K if is_100k else MOVIE_COLUMNS
        return reader.read(_rows(reader, file, columns), movie)


def _rows(reader, file, columns):
    """Rows of a CSV file with a header, or of a file of the older layouts without one."""
    if file.name.endswith(".csv"):
        yield from delimited_rows(reader, file, ",")
        return
    delimiter = {"u.data": "\t", "u.item": "|"}.get(file.name, "::")
    # 100K and 1M are latin-1, 10M is UTF-8; text that is valid UTF-8 by accident does not occur.
    for row in delimited_rows(reader, file, delimiter, columns, encoding="latin-1", quotes=False):
        yield {name: _utf8_if_valid(value) for name, value in row.items()}


def _utf8_if_valid(text: str) -> str:
    if text.isascii():
        return text
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        return text


def title_and_year(title: str) -> tuple[str, str]:
    """ "Toy Story (1995)" -> ("Toy Story", "1995"); the year is "" where there is none."""
    match = re.fullmatch(r"(.*?)\s*\((\d{4})\)\s*", title, re.DOTALL)
    return (match[1], match[2]) if match else (title, "")
