"""What runs leave behind, and what can be said of them.

The flow::

    run folder -> results/, small and committed    results_folder.py, examples.py
    result files -> runs, if they are none: why    result_file.py, kept_run.py, trial_file.py
    ranks of the targets -> metrics and slices     rank_metrics.py, slices.py, list_metrics.py
    kept runs -> results.csv, protocol.json        tidy.py, protocol_file.py, glossary.py
    kept runs -> paired tests                      significance.py, summary.py
    what others published                          published.py

A *label* is ``MODEL`` or ``MODEL:variant``; a *run* is a data set, a label and a seed. Nothing here
needs torch or RecBole.
"""
