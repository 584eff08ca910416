"""Whole archives of recordings: planned, classified by a cluster, kept as Parquet, and asked questions.

Owns no scheduler: Dask distributes, and nothing here but `engine` and `worker` knows of it.
"""
