"""A finished model as a web service, with a small page to try it."""
