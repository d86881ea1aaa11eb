"""Merging: the three-way set union of snapshots, over the graph of commits."""
