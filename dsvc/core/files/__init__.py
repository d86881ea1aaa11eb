"""The project's files: finding, choosing, tracking, reading and adding them."""
