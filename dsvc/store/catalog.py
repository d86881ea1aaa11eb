"""The catalog: every segment of one manifest, searched as one table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from dsvc.store.backend import Backend
from dsvc.store.frame import Entry
from dsvc.store.head import Head
from dsvc.store.ids import ObjectId
from dsvc.store.index import Segment
from dsvc.store.manifest import Manifest
from dsvc.store.pack import PackInfo


class Location(NamedTuple):
    """Where an object lies."""

    pack: PackInfo
    entry: Entry


class Catalog:
    """Where the objects of one manifest lie. Never changes; segments are opened when first needed."""

    def __init__(self, backend: Backend, manifest: Manifest, known: Catalog | None = None) -> None:
        """`known` is an earlier catalog, whose open segments are used again."""
        self.manifest = manifest
        self._backend = backend
        self._open: dict[ObjectId, Segment] = {}
        if known is not None:
            ids = {info.id for info in manifest.segments}
            self._open = {id: segment for id, segment in list(known._open.items()) if id in ids}

    def segment(self, number: int) -> Segment:
        """The segment at a place in the manifest. Raises NotFoundError or DamagedError."""
        info = self.manifest.segments[number]
        found = self._open.get(info.id)
        if found is None:
            found = self._open[info.id] = Segment(self._backend, info)
        return found

    def load(self, ids: Sequence[ObjectId]) -> None:
        """Read what finding these ids needs, in few requests. Raises NotFoundError or DamagedError."""
        for number in range(len(self.manifest.segments)):
            self.segment(number).load(ids)

    def find(self, id: ObjectId) -> Location | None:
        """Where `id` lies, or None. Raises NotFoundError or DamagedError."""
        # The newest first: what is looked for was mostly written lately, or lies in the one big segment.
        for number in range(len(self.manifest.segments) - 1, -1, -1):
            segment = self.segment(number)
            row = segment.find(id)
            if row is not None:
                return Location(segment.packs[row.pack], row.entry)
        return None


class State:
    """One head and what it lists. Never changes, so a reader works with one of them throughout."""

    def __init__(self, raw: bytes | None, head: Head | None, catalog: Catalog) -> None:
        self.raw = raw
        self.head = head
        self.catalog = catalog
