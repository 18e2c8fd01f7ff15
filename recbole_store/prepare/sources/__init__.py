"""The raw layouts that can be prepared, by name."""

from recbole_store.prepare.sources.amazon2014 import Amazon2014
from recbole_store.prepare.sources.source import Source
from recbole_store.prepare.sources.table import Table

SOURCES: dict[str, type[Source]] = {
    "amazon2014": Amazon2014,
    "table": Table,
}
