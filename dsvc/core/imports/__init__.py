"""Importing: what a source says, taken into a draft."""
