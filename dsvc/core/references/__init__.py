"""Inputs whose bytes lie elsewhere: looking at places, referring to them, copying in."""
