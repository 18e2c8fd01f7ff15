"""One HTML page of a results folder: the answer, users, codes, tables; it loads nothing."""
