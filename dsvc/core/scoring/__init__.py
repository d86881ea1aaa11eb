"""Scoring predictions against ground truth: the numbers, whatever they are kept in."""
