"""The names of splits: one for each of train, val and test, whatever a folder or a file calls it."""

from __future__ import annotations

import re

_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
# COCO's own folders and files have a year behind the split: train2017.
_YEAR = re.compile(r"(.*[^0-9])?((?:19|20)[0-9]{2})")


def split_of(name: str) -> str | None:
    """The split that a folder's or a file's name says, or None: train, val or test."""
    plain = name.casefold()
    found = _YEAR.fullmatch(plain)
    if found and found[1]:
        plain = found[1].rstrip("-_ ")
    return _NAMES.get(plain)
