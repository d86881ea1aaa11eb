"""Extracting: the files of a run, written to a folder, all of them or none."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from dsvc.core.keys import check_key
from dsvc.core.ledger import Entry, entry_files, read_file
from dsvc.errors import RefusedError
from dsvc.store.files import refusing

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset
    from dsvc.model.incoming import Progress


def extract(dataset: Dataset, entry: Entry, target: Path, progress: Progress | None = None) -> tuple[int, int]:
    """Write the files of an entry below a folder that is not there or empty; how many, and their bytes.

    Raises RefusedError where something is there, or for a name that would lead out of it, RemoteError, DamagedError.
    """
    place = Path(os.path.abspath(target))  # noqa: PTH100 - no link is followed
    if ".dsvc" in place.parts:
        raise RefusedError(f"{target} lies in a repository's own folder", "name another place")
    with refusing(target):
        if os.path.lexists(place) and not (place.is_dir() and not any(place.iterdir())):
            raise RefusedError(f"{target} is there already", "name a new folder, or an empty one")
        if not place.parent.is_dir():
            raise RefusedError(f"there is no folder {place.parent} to write to", "create that folder first")
    names = [check_key(file.key) for file in entry_files(dataset, entry)]
    temporary = place.parent / f".dsvc-extract-{secrets.token_hex(8)}.tmp"
    size = 0
    try:
        with refusing(target):
            temporary.mkdir()
        for done, name in enumerate(names):
            size += _write(dataset, entry, name, temporary / name)
            if progress is not None:
                progress("write files", done + 1, len(names))
        with refusing(target):
            temporary.replace(place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return len(names), size


def _write(dataset: Dataset, entry: Entry, name: str, path: Path) -> int:
    pieces, size = read_file(dataset, entry, name), 0
    with refusing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("xb")
    with file:
        for piece in pieces:
            with refusing(path):
                size += file.write(piece)
    return size
