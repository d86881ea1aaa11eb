"""Resuming: packs that a transaction finished and that nothing lists, noted on this side for the next one to adopt.

A note is a codec map with the pack's id, size and class and its rows as a segment has them, and 8 bytes XXH3 of that.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import xxhash

from dsvc.errors import DsvcError
from dsvc.store import codec
from dsvc.store.backend import Backend
from dsvc.store.catalog import Catalog
from dsvc.store.frame import Entry
from dsvc.store.ids import ObjectId
from dsvc.store.index import ROW, pack_row
from dsvc.store.pack import PackClass, PackInfo

# Seconds after which a pack that nothing lists is sent again rather than adopted: it may be collected any moment.
FRESH = 24 * 3600
_CHECK = 8


class FinishedPack:
    """A pack of an earlier transaction, which stands where a `PackWriter` does."""

    def __init__(self, backend: Backend, info: PackInfo) -> None:
        self.info: PackInfo | None = info
        self.is_adopted = False
        self._name = info.name
        self._backend = backend

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of it. Raises NotFoundError."""
        return self._backend.read(self._name, offset, length)


class Noted(NamedTuple):
    """A pack that was finished, what lies in it, and how many collections of its place there were when it was begun."""

    info: PackInfo
    rows: list[tuple[ObjectId, Entry]]
    collections: int


class Journal:
    """Notes of finished packs in a folder, one file each. What cannot be written or read is as good as not noted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.collections = 0  # how many the place has had when the transaction began

    def note(self, info: PackInfo, rows: Iterable[tuple[ObjectId, Entry]]) -> None:
        """Note a pack that is durable, and that no head lists yet."""
        fields = {"class": int(info.pack_class), "id": bytes(info.id), "size": info.size}
        fields["collections"] = self.collections
        data = codec.encode(fields | {"rows": b"".join(pack_row(id, 0, entry) for id, entry in rows)})
        part = self._folder / f"part-{secrets.token_hex(8)}"
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            part.write_bytes(data + xxhash.xxh3_64_digest(data))
            part.replace(self._folder / info.id.hex())

    def forget(self, packs: Iterable[ObjectId]) -> None:
        """Take notes away: the packs are listed, or gone."""
        for id in packs:
            with contextlib.suppress(OSError):
                (self._folder / id.hex()).unlink(missing_ok=True)

    def load(self) -> Iterator[Noted]:
        """All that is noted."""
        for path in self._paths():
            with contextlib.suppress(OSError, DsvcError, ValueError, KeyError, TypeError):
                yield _decode(path.read_bytes())

    def _paths(self) -> list[Path]:
        try:
            return sorted(Path(entry.path) for entry in os.scandir(self._folder) if not entry.name.startswith("part-"))
        except OSError:
            return []


def _decode(data: bytes) -> Noted:
    """A note of its bytes. Raises ValueError, KeyError, TypeError or DamagedError for what is none."""
    body, check = data[:-_CHECK], data[-_CHECK:]
    if xxhash.xxh3_64_digest(body) != check:
        raise ValueError("no note")
    fields = codec.decode(body, "note")
    rows = [(ObjectId(id), Entry(*entry)) for id, _, *entry in ROW.iter_unpack(fields["rows"])]
    info = PackInfo(ObjectId(fields["id"]), fields["size"], PackClass(fields["class"]))
    return Noted(info, rows, fields["collections"])


def adoptable(journal: Journal, backend: Backend, catalog: Catalog) -> Iterator[tuple[FinishedPack, Noted, float]]:
    """The noted packs that are still there as they were, young, and listed by no segment, each with its age in seconds;
    others are forgotten. One is too old, too, where a collection since may be about to remove it as left over."""
    noted = list(journal.load())
    if not noted:
        return
    present = {file.name: file for file in backend.files("packs/")}
    segments = (catalog.segment(number) for number in range(len(catalog.manifest.segments)))
    listed = {pack.id for segment in segments for pack in segment.packs}
    now = backend.clock()
    for note in noted:
        file = present.get(note.info.name)
        limit = min(FRESH, catalog.manifest.collected.limit(note.collections))
        if file is None or file.size != note.info.size or now - file.modified > limit or note.info.id in listed:
            journal.forget([note.info.id])
        else:
            yield FinishedPack(backend, note.info), note, now - file.modified
