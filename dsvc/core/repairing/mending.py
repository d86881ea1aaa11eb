"""Mending objects: what is damaged or lost comes from a pack that nothing lists, or from another repository."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from dsvc.core.links import Links
from dsvc.core.repairing.lists import Row, scan_rows
from dsvc.errors import DamagedError, DsvcError, NotFoundError
from dsvc.store.chunklist import ChunkList
from dsvc.store.frame import CHUNKED, Packed, open_frame
from dsvc.store.ids import Kind, ObjectId
from dsvc.store.objects import ObjectStore
from dsvc.store.pack import read_frame
from dsvc.store.staging import Staging

if TYPE_CHECKING:
    from dsvc.core.repository import Repository

HERE = "a pack that nothing listed"


class Donor(NamedTuple):
    """A repository that may have what is lost here, and its name."""

    name: str
    store: ObjectStore


class Mender:
    """Reads the objects of a store as they should be: one that is damaged or lost is brought, and staged.

    `bad` are the objects whose every copy here is damaged; `brought` says where each came from that was brought.
    """

    def __init__(self, store: ObjectStore, donors: Sequence[Donor], bad: set[ObjectId], staging: Staging) -> None:
        self._store = store
        self._donors = donors
        self._bad = bad
        self._staging = staging
        self._unlisted: dict[ObjectId, Row] | None = None
        self._data: dict[ObjectId, bytes] = {}
        self.brought: dict[ObjectId, str] = {}

    def get(self, id: ObjectId, kind: Kind) -> bytes:
        """An object's bytes. Raises DamagedError where nobody has it."""
        if id in self._data:
            return self._data[id]
        if id not in self._bad:
            try:
                return self._store.get(id, kind)
            except DamagedError:
                if self._store.has(id):  # its copy cannot be read, and `verify` has told of it
                    raise
        if self.bring(id, kind):
            return self._data[id]
        return self._store.get(id, kind)

    def has(self, id: ObjectId, kind: Kind | None = None) -> bool:
        """Whether an object is here, or was brought."""
        return id in self.brought or self._store.has(id, kind)

    def bring(self, id: ObjectId, kind: Kind) -> bool:
        """Stage an object that somebody has whole; False where nobody has."""
        if id in self.brought:
            return True
        found = self._find(id, kind)
        if found is None:
            return False
        packed, where = found
        self._staging.put_packed(packed)
        self.brought[id] = where
        if kind is not Kind.BLOB:  # media is many, and nobody reads it here
            self._data[id] = packed.data
        # All that can be had of its chunks, be it not all of them.
        brought = [self._store.has(chunk) or self.bring(chunk, Kind.BLOB) for chunk in _chunks(packed)]
        return all(brought)

    def _find(self, id: ObjectId, kind: Kind) -> tuple[Packed, str] | None:
        packed = self._from_unlisted(id, kind)
        if packed is not None:
            return packed, HERE
        for donor in self._donors:
            try:
                packed = donor.store.get_packed(id, kind)
            except DsvcError:  # it is not there, or damaged there too, or that place is out of reach
                continue
            if packed is not None:
                return packed, donor.name
        return None

    def _from_unlisted(self, id: ObjectId, kind: Kind) -> Packed | None:
        if self._unlisted is None:
            self._unlisted = _unlisted(self._store)
        row = self._unlisted.get(id)
        if row is None or row.entry.kind != kind:
            return None
        try:
            frame = read_frame(self._store.backend, row.pack, id, row.entry)
            return Packed(id, row.entry, frame, open_frame(frame, id, row.entry, row.pack.name))
        except (DamagedError, NotFoundError):
            return None


def _chunks(packed: Packed) -> tuple[ObjectId, ...]:
    if packed.entry.codec != CHUNKED:
        return ()
    return tuple(dict.fromkeys(ChunkList.decode(packed.data).ids()))


def _unlisted(store: ObjectStore) -> dict[ObjectId, Row]:
    """The objects of packs that nothing lists."""
    catalog = store.state.catalog
    listed = {pack.name for at in range(len(catalog.manifest.segments)) for pack in catalog.segment(at).packs}
    names = [name for name in store.backend.names("packs/") if name not in listed]
    return {row.id: row for name in names for row in scan_rows(store.backend, name)}


class MendingLinks(Links):
    """A walk through all that is needed, that brings what is not there."""

    def __init__(self, repository: Repository, mender: Mender, oldest: ObjectId | None = None) -> None:
        """`oldest` is the operation before which nothing is looked at."""
        self._mender = mender
        super().__init__(repository, mender, oldest)

    def _lost(self, key: bytes, blob: ObjectId) -> None:
        if not self._mender.bring(blob, Kind.BLOB):
            super()._lost(key, blob)
