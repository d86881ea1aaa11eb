"""Installing dsvc in a Git repository: hooks, drivers, attributes, and what Git's configuration says of them."""
