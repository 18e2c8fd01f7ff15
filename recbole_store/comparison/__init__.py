"""Many runs under one protocol, and what can be said of them.

The flow::

    labels x data sets x seeds -> runs             plan.py
    runs -> run folders, skipping finished ones    runner.py
    run folder -> results/, small and committed    results_folder.py
    ranks of the targets -> metrics and slices     rank_metrics.py, slices.py, list_metrics.py
    kept runs -> results.csv, protocol.json        tidy.py, conditions.py
    kept runs -> paired tests, tables              significance.py, summary.py, tables.py

A *label* is ``MODEL`` or ``MODEL:variant``; a *run* is a data set, a label and a seed. Nothing here
needs torch or RecBole.
"""
