"""Meaning: records, trees, snapshots, commits and views."""
