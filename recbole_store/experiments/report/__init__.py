"""Kept runs as tables and as one HTML page."""
