"""What in a data set of RecBole atomic files would change results, or is worth knowing.

The flow: every line of every atomic file is looked at as RecBole's parser would read it
(atomic_lines.py), interactions are questioned as a whole (interaction_findings.py), items against
them (item_findings.py). Nothing here imports torch or RecBole.
"""
