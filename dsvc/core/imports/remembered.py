"""Files that were imported: a file whose bytes are those that its source last delivered need not be read again.

What is remembered lies in the cache, by the commit of the source's line, and may be gone or damaged at any time.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from blake3 import blake3

from dsvc import __version__
from dsvc.core.files.filetable import write_cache
from dsvc.core.imports.delivery import Tally
from dsvc.core.imports.reports import ImportReport, Part
from dsvc.errors import RefusedError
from dsvc.model.commit import load_commit
from dsvc.model.snapshot import load_roots
from dsvc.model.tree import Tree

if TYPE_CHECKING:
    from dsvc.core.draft import Draft


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was imported whole: the hash of its bytes, how it was read, and what was in it."""

    file: str
    asked: tuple[str, ...]
    version: str
    inputs: int
    annotations: int
    concepts: int
    notes: tuple[str, ...]


def fingerprint(data: memoryview) -> str:
    """What tells a file's bytes from all others."""
    # In one thread: a pool of them would not survive a fork of the process, and whoever forks would wait for ever.
    return blake3(data).hexdigest()


def recall(draft: Draft, name: str, file: str, asked: tuple[str, ...]) -> Part | None:
    """The report of importing a file again, and the records that it has; None where it must be read."""
    place = _place(draft, name)
    if place is None:
        return None
    try:
        found = msgspec.json.decode(place.read_bytes(), type=Delivered)
    except (OSError, msgspec.MsgspecError, ValueError):
        return None
    if (found.file, found.asked, found.version) != (file, asked, __version__):
        return None
    store = draft.transaction.writer
    roots = load_roots(store, load_commit(store, draft.sources[name]).snapshot)
    report = ImportReport(
        source=name,
        inputs=found.inputs,
        annotations=found.annotations,
        concepts=found.concepts,
        changed=False,
        refused=0,
        rejects=None,
        problems=(),
        notes=found.notes,
        again=True,
        tally=Tally(unchanged=found.annotations),
    )
    return Part(report, roots)


def remember(draft: Draft, part: Part, file: str, asked: tuple[str, ...]) -> None:
    """Note a file that was imported, once it is published: if its source says now what is in it, and no more."""
    report, name = part.report, part.report.source
    place = _place(draft, name)
    if place is None or report.refused or report.tally.doubled:
        return
    store = draft.transaction.writer
    said = load_roots(store, load_commit(store, draft.sources[name]).snapshot)
    if said.inputs != part.roots.inputs or len(Tree(store, said.annotations)) != report.annotations:
        return
    found = Delivered(
        file=file,
        asked=asked,
        version=__version__,
        inputs=report.inputs,
        annotations=report.annotations,
        concepts=report.concepts,
        notes=report.notes,
    )
    draft.after(lambda: write_cache(place, msgspec.json.encode(found)))


def _place(draft: Draft, name: str) -> Path | None:
    line = draft.sources.get(name)
    try:
        folder = draft.dataset.repository.cache_folder
    except RefusedError:
        return None
    return folder / "imports" / f"{line.hex()}.json" if folder is not None and line is not None else None
