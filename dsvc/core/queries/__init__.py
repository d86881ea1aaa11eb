"""Queries: one SELECT of DuckDB's SQL over the records of one or more states."""
