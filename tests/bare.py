"""Clones whose media is all at their remote, and what the tests of lazy media look at."""

from __future__ import annotations

from pathlib import Path

import dsvc
from dsvc.core.repository import Repository
from dsvc.model.commit import Author
from dsvc.remote.cloning import clone
from dsvc.store.ids import ObjectId

_ADA = Author("Ada", "ada@example.org")


def bare_clone(url: str | Path, folder: Path) -> Repository:
    """A clone with all structure and no media."""
    clone(str(url), folder, _ADA, media=False)
    return dsvc.open(folder, author=_ADA)


def blobs(repository: Repository) -> list[ObjectId]:
    """The blobs of the dataset `pets`, by key."""
    records = repository.dataset("pets").at().inputs()
    return [record.media.blob for record in records if record.media is not None and record.media.blob is not None]
