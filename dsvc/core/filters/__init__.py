"""Filters: DuckDB's expressions over a snapshot, and what is done to all that one is true of."""
