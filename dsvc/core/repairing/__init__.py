"""Repairing: what is damaged or lost is made anew from what is whole, here or at a remote. Nothing is lost by it."""
