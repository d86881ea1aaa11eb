"""The catalog: every segment of one manifest, searched as one table."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from dsvc.errors import DamagedError, NotFoundError
from dsvc.store.backend import Backend
from dsvc.store.cached import CachedBackend
from dsvc.store.frame import Entry
from dsvc.store.head import Head
from dsvc.store.history import History
from dsvc.store.ids import ObjectId
from dsvc.store.index import PACK_FIELD, Segment, segment_name
from dsvc.store.manifest import Manifest, manifest_name
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
        self._history: History | None = None
        if isinstance(backend, CachedBackend):  # nearby, a segment tells sooner
            self._history = History(backend, manifest.history, known._history if known else None)
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

    def find(self, id: ObjectId, is_history: bool = False) -> Location | None:
        """Where `id` lies, or None. Raises NotFoundError or DamagedError.

        In a distant place, what is told to be history is looked for in the history packs before the segments.
        """
        if self._history is not None:
            found = self._history.find(id, is_history)
            if found is not None:
                return Location(*found)
        # The newest first: what is looked for was mostly written lately, or lies in the one big segment.
        for number in range(len(self.manifest.segments) - 1, -1, -1):
            segment = self.segment(number)
            row = segment.find(id)
            if row is not None and segment.packs[row.pack].id not in self.manifest.gone:
                return Location(segment.packs[row.pack], row.entry)
        return None

    def count(self) -> int:
        """How many objects are listed, but for what of it is damaged."""
        total = sum(info.rows for info in self.manifest.segments)
        for number in range(len(self.manifest.segments)) if self.manifest.gone else ():
            with contextlib.suppress(DamagedError, NotFoundError):
                segment = self.segment(number)
                gone = {at.to_bytes(4, "big") for at, pack in enumerate(segment.packs) if pack.id in self.manifest.gone}
                total -= sum(row[PACK_FIELD] in gone for row in segment.rows()) if gone else 0
        return total

    def tidy(self) -> None:
        """Keep no copies of what a cache has of older manifests, as far as that is known without a request."""
        if not isinstance(self._backend, CachedBackend):
            return
        listed = {manifest_name(self.manifest.id)} | {segment_name(info.id) for info in self.manifest.segments}
        self._backend.retain(("manifests", "index"), listed)
        held = (info.id in self._open or self._backend.holds(segment_name(info.id)) for info in self.manifest.segments)
        if all(held):
            with contextlib.suppress(DamagedError, NotFoundError):  # who reads it is told
                self._backend.retain(("packs", "blocks"), listed | {pack.name for pack in self.packs()})

    def packs(self) -> Iterator[PackInfo]:
        """Every pack that there is, each once. Raises NotFoundError or DamagedError."""
        for number in range(len(self.manifest.segments)):
            yield from (pack for pack in self.segment(number).packs if pack.id not in self.manifest.gone)


class State:
    """One head and what it lists. Never changes, so a reader works with one of them throughout."""

    def __init__(self, raw: bytes | None, head: Head | None, catalog: Catalog) -> None:
        self.raw = raw
        self.head = head
        self.catalog = catalog
