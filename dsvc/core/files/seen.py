"""Which files lay in the tracked folders of a workspace, by path and bytes, whenever files were taken in.

Only an input whose file was here can have lost it: one that came by a merge or a switch, say, may never have had any.
So what is found is noted, in a file for each dataset, before inputs are taken: after a kill, more is noted than was
taken, and all of it was here. This is no cache: it cannot be made anew.

A file holds lines of 16 hex digits. What is appended begins with a line end, lest it join a line that was cut off.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from xxhash import xxh3_64_hexdigest, xxh3_128_hexdigest

from dsvc.core.workspace import Workspace
from dsvc.store.files import refusing

FOLDER = "seen"


def mark(path: str, blob: bytes) -> bytes:
    """What is noted of a file, by its path below the project's root and the id of its bytes: 16 hex digits."""
    return xxh3_64_hexdigest(path.encode("utf-8", "surrogateescape") + b"\0" + blob).encode()


def load_seen(workspace: Workspace, dataset: str) -> frozenset[bytes]:
    """The marks that are noted of a dataset. Raises RefusedError."""
    path = _path(workspace, dataset)
    if path is None:
        return frozenset()
    with refusing(path):
        return frozenset(path.read_bytes().split(b"\n")) if path.exists() else frozenset()


def seen_inode(workspace: Workspace, dataset: str) -> int:
    """A number that tells the file of a dataset's marks from another one, which says nothing of what was appended."""
    path = _path(workspace, dataset)
    try:
        return path.stat().st_ino if path is not None else 0
    except OSError:
        return 0


def note_seen(workspace: Workspace, dataset: str, marks: Iterable[bytes]) -> None:
    """Note marks of a dataset, those that are not noted yet. Raises RefusedError, for a full disk say."""
    path = _path(workspace, dataset)
    new = sorted(set(marks) - load_seen(workspace, dataset))
    if not new or path is None:
        return
    with refusing(path):
        path.parent.mkdir(exist_ok=True)
        with path.open("ab") as file:
            file.write(b"\n" + b"\n".join(new) + b"\n")
            file.flush()
            os.fsync(file.fileno())


def _path(workspace: Workspace, dataset: str) -> Path | None:
    name = xxh3_128_hexdigest(dataset.encode("utf-8", "surrogateescape"))
    return workspace.folder / FOLDER / name if workspace.folder is not None else None
