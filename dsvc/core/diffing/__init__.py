"""What differs between two states, in the words of those who annotate."""
