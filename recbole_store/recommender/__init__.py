"""A finished run as one folder and one object: recommend, take new items, explain, export, serve.

The folder needs no data set and none of RecBole's data pipeline; see :mod:`.folder` for its format
and :mod:`.recommender` for the object.
"""
