"""Which column of a table is the user, the item, the time or a text, told by its name."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from statistics import median

# Names as people write them, without case, spaces and punctuation; the first that a table has wins.
ROLES = {
    "user": (
        "user username customer buyer client shopper member account visitor reader listener "
        "viewer player reviewer person patron subscriber contact email session kunde"
    ),
    "item": (
        "item product sku article asin stock stockitem variant good isbn book movie film track "
        "song game video business news course recipe place artikel produkt"
    ),
    "item_id": "id uuid key",
    "time": (
        "timestamp time datetime eventtime unixtime ts date day when createdat created orderedat "
        "ordertime orderdate ordered purchasedat purchasetime purchasedate purchased boughtat "
        "boughton transactiontime transactiondate invoicedate eventdate reviewtime reviewdate "
        "reviewedat ratedat playedat viewedat visitedat dateadded addedat updatedat datum"
    ),
}
# What a name may have behind: customer_id, StockCode, article number.
_ENDINGS = ("", "id", "ids", "no", "nr", "num", "number", "key", "code", "uuid", "guid", "hash")
TEXTS = (
    "title name producttitle productname itemtitle itemname articlename prodname bookname "
    "movietitle brand manufacturer maker author authors artist developer publisher category "
    "categories maincategory subcategory genre genres department type producttype description "
    "productdescription detaildesc shortdescription"
)
OF_ANYBODY = ("name", "author", "authors", "type", "department")

# A time that is a number of this size or more is in that unit: 2001 to 2033 are 1e9 to 2e9 seconds.
_UNITS = ((1e17, "ns"), (1e14, "us"), (1e11, "ms"))


def _plain(name: str) -> str:
    """Example: "Ordered At" -> "orderedat" """
    return re.sub(r"[\W_]+", "", name).lower()


def guess_column(role: str, columns: Iterable[str], taken: Iterable[str] = ()) -> str | None:
    """The column that plays a role of ROLES, or None.

    Args:
        taken: columns that play another.

    Example: guess_column("item", ["Customer ID", "sku", "qty"]) -> "sku"
    """
    endings = _ENDINGS if role != "time" else ("", "utc", "ms")
    free = {_plain(name): name for name in reversed(list(columns)) if name not in set(taken)}
    for word in ROLES[role].split():
        for ending in endings:
            if word + ending in free:
                return free[word + ending]
    return None


def guess_texts(columns: Iterable[str], taken: Iterable[str] = (), of_items=True) -> list[str]:
    """The columns that describe an item, the most telling first.

    Args:
        of_items: whether they are of a table of items; among interactions a name is a user's.
    """
    free = {_plain(name): name for name in reversed(list(columns)) if name not in set(taken)}
    words = [word for word in TEXTS.split() if of_items or word not in OF_ANYBODY]
    return [free[word] for word in words if word in free]


def guess_unit(values: Iterable) -> str | None:
    """The unit of times that are numbers, by their size; None if most of them are none.

    Example: [1588615855070, 1588615860000] -> "ms"; ["2014-07-23"] -> None; [3, 1, 2] -> "s"
    """
    numbers, n_values = [], 0
    for value in values:
        if value in (None, ""):
            continue
        n_values += 1
        try:
            numbers.append(abs(float(value)))
        except (TypeError, ValueError):
            continue
    numbers = [number for number in numbers if math.isfinite(number)]
    if 2 * len(numbers) <= n_values:
        return None
    middle = median(numbers)
    return next((unit for least, unit in _UNITS if middle >= least), "s")
