"""MovieLens: the same three ratings in every layout."""

from __future__ import annotations

import pytest

FLAGS = "0|0|0|1|1" + "|0" * 14
RATINGS = [
    ("1", "10", "5", "978300760"),
    ("2", "10", "3", "978300759"),
    ("1", "11", "4", "978300760"),
]
TITLE, OTHER = "Cit\u00e9 des enfants perdus, La (1995)", '"Quoted", the film'

LAYOUTS = {
    "100k": {
        "ml-100k.zip/ml-100k/u.data": ["\t".join(row) for row in RATINGS],
        "ml-100k.zip/ml-100k/u.item": (
            f"10|{TITLE}|01-Jan-1995||http://x|{FLAGS}\n11|{OTHER}||||1{'|0' * 18}\n"
        ).encode("latin-1"),
    },
    "1m": {
        "ml-1m.zip/ml-1m/ratings.dat": ["::".join(row) for row in RATINGS],
        "ml-1m.zip/ml-1m/movies.dat": (
            f"10::{TITLE}::Animation|Children's\n11::{OTHER}::unknown\n"
        ).encode("latin-1"),
    },
    "10m": {
        "ratings.dat": ["::".join(row) for row in RATINGS],
        "movies.dat": f"10::{TITLE}::Animation|Children's\n11::{OTHER}::unknown\n",
    },
    "25m": {
        "ratings.csv": ["userId,movieId,rating,timestamp", *(",".join(row) for row in RATINGS)],
        "movies.csv": (
            f'movieId,title,genres\r\n10,"{TITLE}",Animation|Children\'s\r\n'
            '11,"""Quoted"", the film",unknown\r\n'
        ),
    },
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_files(prepare, layout):
    prepared = prepare("movielens", LAYOUTS[layout])
    assert prepared.lines("inter") == [
        "user_id:token\titem_id:token\trating:float\ttimestamp:float",
        "2\t10\t3\t978300759",
        "1\t10\t5\t978300760",
        "1\t11\t4\t978300760",
    ]
    assert prepared.texts == {
        "10": {
            "title": "Cit\u00e9 des enfants perdus, La",
            "release_year": "1995",
            "genres": ["Animation", "Children's"],
        },
        "11": {"title": OTHER, "release_year": "", "genres": ["unknown"]},
    }
    assert prepared.lines("item")[1:] == [
        "10\tCit\u00e9 des enfants perdus, La\t1995\tAnimation Children's",
        "11\t'Quoted', the film\t\tunknown",
    ]


def test_no_genres(prepare):
    movies = ["movieId,title,genres", "10,Heat (1995),(no genres listed)"]
    prepared = prepare("movielens", {**LAYOUTS["25m"], "movies.csv": movies})
    assert prepared.texts["10"]["genres"] == []


def test_wrong_columns(refused):
    bad = {**LAYOUTS["25m"], "ratings.csv": ["user,movieId,rating,timestamp", "1,10,5,1"]}
    message = refused("movielens", bad)
    assert "ratings.csv, line 2: no `userId`, but user, movieId" in message
