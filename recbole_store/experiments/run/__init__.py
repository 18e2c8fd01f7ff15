"""One model on one data set, from settings to ``result.json``."""
