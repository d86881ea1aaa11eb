"""Copies of a distant remote's indexes and records, kept nearby: they can be removed at any time."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from dsvc.core.references.places import scheme
from dsvc.store.cached import CachedBackend
from dsvc.store.shelf import Shelf

if TYPE_CHECKING:
    from dsvc.store.backend import Backend

FOLDER = "remotes"
_LIMIT = 2 << 30  # bytes of all remotes' copies together


def with_copies(backend: Backend, url: str, folder: Path | None, *, records: bool = False) -> Backend:
    """A remote's backend with copies of its indexes, and with `records` of all but media, below a cache folder (None:
    in memory). A folder on a disk has none: reading it costs as little."""
    if scheme(url) in ("", "file"):
        return backend
    root = folder / FOLDER if folder is not None else None
    place = root / hashlib.sha256(url.encode()).hexdigest()[:32] if root is not None else None
    return CachedBackend(backend, Shelf(place, _LIMIT, root), keeps_blocks=records)
