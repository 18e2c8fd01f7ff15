"""Raw data sets -> RecBole atomic files with text, in memory bounded by users and items.

The flow, module by module::

    raw files, gzip and zip in place       raw_files.py, raw_reader.py, raw_rows.py
    rows that cannot be read               rejected_rows.py
    one layout -> interactions, items      sources/
    ids, texts and times that survive      atomic_text.py, times.py
    filters, time order, figures           interactions.py, database.py (DuckDB, on disk)
    atomic files, texts, properties        atomic_files.py
    what is in there, and from what        data_card.py
    all of it appears at once, or nothing  dataset_folder.py

Why DuckDB: of the engines that stream (pandas in chunks, pyarrow, polars, DuckDB) it is the one
that also groups, numbers and sorts more rows than fit into memory, which k-core filtering and an
exact time order over the whole file need. It reads Parquet as well. The raw text formats are read
line by line in Python: Python-literal metadata is no format of any engine, gzip and zip members are
read in place, and a fault is named by file and line.

Nothing here imports torch or RecBole.
"""
