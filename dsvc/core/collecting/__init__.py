"""Garbage collection: what nothing reaches any more goes."""
