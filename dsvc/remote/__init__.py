"""Remotes: the same repository layout in another place, and what travels between here and there."""
