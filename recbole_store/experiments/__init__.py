"""One run, many runs, their files, their tables and their page."""
