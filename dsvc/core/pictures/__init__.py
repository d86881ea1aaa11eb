"""Pictures of a dataset: contact sheets with annotations drawn on, plots of what it holds, and what notebooks show."""
