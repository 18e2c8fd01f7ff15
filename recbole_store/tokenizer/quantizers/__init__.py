"""Vectors of items -> codes: a file and a class each, by name in registry.py."""
