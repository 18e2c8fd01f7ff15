"""Tables for the console, README and the page."""
