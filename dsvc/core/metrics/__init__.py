"""The numbers of a state: counted per part of its trees, kept, and summed."""
