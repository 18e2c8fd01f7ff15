"""What a model knows of items: an id that a spreadsheet wrote with decimals is told its own."""

from __future__ import annotations

import numpy as np
import pytest

from recbole_store.errors import UnknownItemError
from recbole_store.recommender.catalogue import Catalogue


def test_whole_numbers_have_no_decimals():
    catalogue = Catalogue(["", "7", "8.5"], {}, {}, np.array([0, 1, 1]), 2)
    assert catalogue.item_id("7") == 1 and catalogue.item_id(8.5) == 2
    with pytest.raises(UnknownItemError, match="no item '7.0' among its 2 .did you mean '7'"):
        catalogue.item_id("7.0")
    with pytest.raises(UnknownItemError, match="no item '9.0' among its 2: ids are"):
        catalogue.item_id("9.0")
