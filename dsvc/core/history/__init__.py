"""History: the graph of commits, who brought what, and bringing states back."""
