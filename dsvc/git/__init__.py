"""The Git plugin; dulwich lives here only."""
