"""Checkouts: folders of the project that hold a version as files, media and annotations, and follow a branch."""
