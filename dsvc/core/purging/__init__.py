"""Purging: media that has to go from everywhere, while what names it stays."""
