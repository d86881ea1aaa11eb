"""Evaluating: predictions are read, stored beside their ground truth, scored, and the numbers kept."""
