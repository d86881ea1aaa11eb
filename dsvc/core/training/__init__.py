"""Training runs: a command, the exact data that it learned from, and what it left behind."""
