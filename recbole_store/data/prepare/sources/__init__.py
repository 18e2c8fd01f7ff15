"""The raw layouts that can be prepared, by name."""

from recbole_store.data.prepare.sources.amazon2014 import Amazon2014
from recbole_store.data.prepare.sources.amazon2023 import Amazon2023
from recbole_store.data.prepare.sources.goodreads import Goodreads
from recbole_store.data.prepare.sources.hm import HM
from recbole_store.data.prepare.sources.mind import MIND
from recbole_store.data.prepare.sources.movielens import MovieLens
from recbole_store.data.prepare.sources.source import Source
from recbole_store.data.prepare.sources.steam import Steam
from recbole_store.data.prepare.sources.table import Table
from recbole_store.data.prepare.sources.yelp import Yelp

SOURCES: dict[str, type[Source]] = {
    "amazon2014": Amazon2014,
    "amazon2023": Amazon2023,
    "goodreads": Goodreads,
    "hm": HM,
    "mind": MIND,
    "movielens": MovieLens,
    "steam": Steam,
    "table": Table,
    "yelp": Yelp,
}
