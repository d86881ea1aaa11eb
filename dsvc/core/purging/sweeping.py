"""Sweeping: the bytes of purged media go from one repository. The tombstones come first, then the bytes.

Each step is safe by itself: a crash between two leaves a repository that is whole, and purging again finishes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dsvc.core.purging.uses import Histories
from dsvc.core.transaction import Refs
from dsvc.model.commit import Moment
from dsvc.model.view import TombstoneRef, tombstone_of
from dsvc.store.files import refusing
from dsvc.store.ids import Kind, ObjectId
from dsvc.store.rewrite import Rewritten, chunked_blobs, find_orphans, rewrite

if TYPE_CHECKING:
    from dsvc.core.repository import Repository


class Swept(NamedTuple):
    """What went from one repository: how many copies of objects, of how many bytes; packs that were rewritten, and left
    over ones that were removed; copies in caches. `kept` are chunks that other media have too, and that stayed."""

    objects: int = 0
    bytes: int = 0
    packs: int = 0
    orphans: int = 0
    cached: int = 0
    kept: int = 0


def bury(
    repository: Repository, blobs: Mapping[ObjectId, int], reason: str, command: str, time: Moment | None = None
) -> list[ObjectId]:
    """Set tombstones for blobs, which have sizes in bytes, in one operation, and give those that are new. Blobs that
    have one keep it."""
    moment = time or repository.now()

    def change(refs: Refs) -> list[ObjectId]:
        new = [blob for blob in sorted(blobs) if refs.get(*tombstone_of(blob)) is None]
        for blob in new:
            refs.set(tombstone_of(blob), TombstoneRef(reason, repository.identity, moment, blobs[blob]))
        return new

    with repository.transaction(command) as transaction:
        return transaction.run(change)


def sweep(repository: Repository, blobs: Collection[ObjectId]) -> Swept:
    """Take blobs out of every pack, those that nothing lists too, and out of the caches beside. Raises DamagedError."""
    store = repository.store
    store.refresh()
    chunks, kept = _own_chunks(repository, blobs)
    done, orphans = Rewritten(), 0
    # The list of a blob's chunks goes last: after a crash it tells which they are.
    for gone in (chunks, set(blobs)):
        if not gone:
            continue
        step = rewrite(store, lambda id, _, gone=gone: id in gone, gaps=True)  # type: ignore[misc]
        done = Rewritten(*map(sum, zip(done, step, strict=True)))
        left_over = find_orphans(store, gone)
        orphans += len(left_over)
        store.backend.delete_all(left_over)
    return Swept(*done, orphans=orphans, cached=_drop_cached(repository, blobs), kept=kept)


def _own_chunks(repository: Repository, blobs: Collection[ObjectId]) -> tuple[set[ObjectId], int]:
    """The chunks of blobs that no other blob has, and how many there are that another one has."""
    store, gone = repository.store, set(blobs)
    chunks = {chunk for blob in gone if store.has(blob, Kind.BLOB) for chunk in store.chunks(blob)}
    if not chunks:
        return set(), 0
    others = {chunk for id in chunked_blobs(store) if id not in gone for chunk in store.chunks(id)}
    # A chunk may be all of a small file, too.
    named = {use.blob for use in Histories(repository).uses(chunks)} - gone
    shared = chunks & (others | named)
    return chunks - shared, len(shared)


def _drop_cached(repository: Repository, blobs: Collection[ObjectId]) -> int:
    """Remove the files of the cache that hold blobs: those that hard links lead to, and copies of remotes' packs; how
    many."""
    from dsvc.core.layout.linking import kept_file

    cache = repository.cache_folder
    if cache is None:
        return 0
    found = [path for blob in blobs if (path := kept_file(repository, blob)) is not None and path.exists()]
    found += [path for path in cache.glob("remotes/*/packs/**/*") if path.is_file() and _names_any(path, blobs)]
    for path in found:
        with refusing(path):
            path.unlink(missing_ok=True)
    return len(found)


def _names_any(path: Path, blobs: Collection[ObjectId]) -> bool:
    """Whether a copy of a pack, or of a part of one, has the id of a blob in it."""
    with refusing(path):
        data = path.read_bytes()
    return any(bytes(blob) in data for blob in blobs)
