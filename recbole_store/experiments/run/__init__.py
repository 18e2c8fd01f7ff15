"""One model on one data set, from settings to ``result.json``."""

import recbole_store.plugin  # noqa: F401 - what it mends is mended before RecBole is imported here
