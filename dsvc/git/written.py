"""What dsvc last wrote into a lock by itself, so that a lock that was put back since tells of itself."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dsvc.store.ids import ObjectId

if TYPE_CHECKING:
    from dsvc.core.repository import Repository
    from dsvc.git.lockfile import Locked

FILE = "lock.json"


def written_lines(repository: Repository) -> dict[str, ObjectId]:
    """Per dataset the commit of the last line that was written; it is a cache, and may know nothing."""
    folder = repository.cache_folder
    try:
        found = json.loads((folder / FILE).read_bytes()) if folder is not None else {}
        return {str(name): ObjectId.parse(commit) for name, commit in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def note_written(repository: Repository, lines: Iterable[Locked]) -> None:
    """Note lines that were written."""
    folder = repository.cache_folder
    if folder is None:
        return
    known = {**written_lines(repository), **{line.dataset: line.commit for line in lines}}
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        Path(folder / FILE).write_text(json.dumps({name: commit.hex() for name, commit in sorted(known.items())}))
