"""Forging repositories: parts are changed, and all that names or vouches for them is made to fit again.

So a reader gets past every hash and every checksum, to what lies behind them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import xxhash

from dsvc.store import codec
from dsvc.store.frame import FRAME_HEAD, FRAME_TAIL, Entry, Packed, frame_parts
from dsvc.store.head import Head
from dsvc.store.ids import INDEX_CONTEXT, MANIFEST_CONTEXT, PACK_CONTEXT, Kind, ObjectId, derived_id, object_id
from dsvc.store.index import BUCKET, FOOT, PACK_LINE, ROW
from dsvc.store.memory import MemoryBackend
from dsvc.store.objects import ObjectStore

MAGIC = 8
Change = Callable[[bytes], bytes]


class Row(NamedTuple):
    """Where an object lies in the files of a backend."""

    id: ObjectId
    pack: str
    entry: Entry


def copied(backend: MemoryBackend) -> MemoryBackend:
    """Another backend with the same files."""
    new = MemoryBackend()
    new.head = backend.head
    new.held = dict(backend.held)
    new.times = dict(backend.times)
    return new


def rows_of(backend: MemoryBackend) -> list[Row]:
    """Where every object lies, in the order of their ids."""
    catalog = ObjectStore(backend).state.catalog
    found: dict[ObjectId, Row] = {}
    for number in range(len(catalog.manifest.segments)):
        segment = catalog.segment(number)
        for raw in segment.rows():
            id, pack, *fields = ROW.unpack(raw)
            found[ObjectId(id)] = Row(ObjectId(id), segment.packs[pack].name, Entry(*fields))
    return [found[id] for id in sorted(found)]


class Contents:
    """The objects of a repository, what they name first, so that one can be changed with all that leads to it."""

    def __init__(self, backend: MemoryBackend) -> None:
        store = ObjectStore(backend)
        self.operation = store.head.operation
        found = {row.id: (Kind(row.entry.kind), store.get(row.id, Kind(row.entry.kind))) for row in rows_of(backend)}
        ids = list(found)
        self.names = {
            id: [other for other in ids if other in data] if kind is not Kind.BLOB else []
            for id, (kind, data) in found.items()
        }
        self.objects: dict[ObjectId, tuple[Kind, bytes]] = {}
        for id in ids:
            self._sort(id, found)

    def _sort(self, id: ObjectId, found: dict[ObjectId, tuple[Kind, bytes]]) -> None:
        if id not in self.objects:
            for other in self.names[id]:
                self._sort(other, found)
            self.objects[id] = found[id]

    def of(self, *kinds: Kind) -> list[ObjectId]:
        """The objects of some kinds."""
        return [id for id, (kind, _) in self.objects.items() if kind in kinds]

    def forged(self, target: ObjectId, change: Change, more: list[tuple[Kind, bytes]] = []) -> MemoryBackend:  # noqa: B006
        """The repository with one object changed, and all that leads to it made to name the changed one."""
        new: dict[ObjectId, ObjectId] = {}
        objects = {object_id(kind, data): (kind, data) for kind, data in more}
        for id, (kind, data) in self.objects.items():
            made = change(data) if id == target else data
            for other in self.names[id]:
                if other in new:
                    made = made.replace(other, new[other])
            named = id
            if made is not data:
                named = new[id] = object_id(kind, made)
            objects[named] = kind, made
        return backend_of(objects, new.get(self.operation, self.operation))


def backend_of(objects: dict[ObjectId, tuple[Kind, bytes]], operation: ObjectId) -> MemoryBackend:
    """A repository of some objects, whatever they hold."""
    backend = MemoryBackend()
    with ObjectStore.create(backend).writer() as writer:
        for id, (kind, data) in objects.items():
            writer.put_packed(packed(id, kind, data))
        writer.publish(operation)
    return backend


def packed(id: ObjectId, kind: Kind, data: bytes) -> Packed:
    """An object and its frame, uncompressed, of any size."""
    frame = b"".join(frame_parts(id, kind, 0, len(data), data))
    return Packed(id, Entry(0, len(data), len(data), kind, 0), frame, data)


# ---- files


def put_head(backend: MemoryBackend, **fields: Any) -> None:
    """Change fields of the head."""
    assert backend.head is not None
    old = Head.decode(backend.head)
    known = {"operation": old.operation, "manifest": old.manifest, "must": old.must, "may": old.may}
    backend.head = Head(**{**known, **fields}).encode()


def put_manifest(backend: MemoryBackend, data: bytes) -> None:
    """Replace the manifest by these bytes."""
    id = derived_id(MANIFEST_CONTEXT, data)
    backend.held[f"manifests/{id}"] = data
    put_head(backend, manifest=id)


def manifest_of(backend: MemoryBackend) -> dict[str, Any]:
    """What the manifest says."""
    assert backend.head is not None
    value = codec.decode(backend.held[f"manifests/{Head.decode(backend.head).manifest}"])
    assert isinstance(value, dict)
    return value


def rename_in_manifest(backend: MemoryBackend, old: str, new: str, size: int | None = None) -> None:
    """Make the manifest name another file in place of one, and say its size."""
    value = manifest_of(backend)
    was, now = (bytes.fromhex(name.split("/")[1]) for name in (old, new))

    def changed(part: Any) -> Any:
        if isinstance(part, dict):
            fits = part.get("id") == was and size is not None
            return {name: changed(size if fits and name == "bytes" else below) for name, below in part.items()}
        if isinstance(part, list):
            return [changed(below) for below in part]
        return part.replace(was, now) if isinstance(part, bytes) else part

    put_manifest(backend, codec.pack(codec.canonical(changed(value))))


def put_segment(backend: MemoryBackend, name: str, change: Callable[[Segment], None]) -> str:
    """Change a segment, and what names it. Its new name."""
    segment = Segment.parse(backend.held[name])
    change(segment)
    data = segment.data()
    new = f"index/{derived_id(INDEX_CONTEXT, data)}"
    del backend.held[name]
    backend.held[new] = data
    rename_in_manifest(backend, name, new, len(data))
    return new


class Segment:
    """The parts of a segment, each to be changed at will; the checksums are right whatever they are."""

    def __init__(self) -> None:
        self.rows: list[bytes] = []
        self.packs: list[bytes] = []
        self.ends: list[int] = []
        self.foot: list[int] = []

    @classmethod
    def parse(cls, data: bytes) -> Segment:
        """The parts of a file."""
        made = cls()
        rows, packs, bits, *_ = FOOT.unpack(data[-FOOT.size :])
        at = MAGIC
        made.rows = [data[at + n * ROW.size : at + (n + 1) * ROW.size] for n in range(rows)]
        at += rows * ROW.size
        made.packs = [data[at + n * PACK_LINE.size : at + (n + 1) * PACK_LINE.size] for n in range(packs)]
        at += packs * PACK_LINE.size
        made.ends = [BUCKET.unpack_from(data, at + n * BUCKET.size)[0] for n in range(1 << bits)]
        made.foot = [rows, packs, bits]
        return made

    def data(self) -> bytes:
        """The file's bytes."""
        fan, last = b"", 0
        for end in self.ends:
            fan += BUCKET.pack(end, xxhash.xxh3_64_intdigest(b"".join(self.rows[last:end])))
            last = end
        tables = b"".join(self.packs) + fan
        foot = FOOT.pack(*self.foot, xxhash.xxh3_64_intdigest(tables), 0, b"dsvcIEND")[:-16]
        own = xxhash.xxh3_64_intdigest(foot).to_bytes(8, "big")
        return b"dsvcindx" + b"".join(self.rows) + tables + foot + own + b"dsvcIEND"


def segments_naming(backend: MemoryBackend, pack: bytes) -> list[str]:
    """The segments that name a pack."""
    return [name for name, data in backend.held.items() if name.startswith("index/") and pack in data]


def put_pack_index(backend: MemoryBackend, name: str, change: Change) -> None:
    """Change a pack's index, and all that names the pack."""
    data = backend.held.pop(name)
    start = int.from_bytes(data[-16:-8], "big")
    index = change(data[start:-16])
    id = derived_id(PACK_CONTEXT, index)
    new = data[:start] + index + data[-16:]
    backend.held[f"packs/{id}"] = new
    was = bytes.fromhex(name.split("/")[1])

    def rename(segment: Segment) -> None:
        for number, line in enumerate(segment.packs):
            pack, _, pack_class = PACK_LINE.unpack(line)
            if pack == was:
                segment.packs[number] = PACK_LINE.pack(id, len(new), pack_class)

    for segment in segments_naming(backend, was):
        put_segment(backend, segment, rename)


def put_frame(backend: MemoryBackend, row: Row, entry: Entry, payload: bytes) -> None:
    """Change a frame in its place (it may not grow), and its row in the index."""
    data = backend.held[row.pack]
    head = FRAME_HEAD.pack(b"dF", entry.kind, entry.codec, entry.raw, entry.stored)
    check = xxhash.xxh3_64(head + payload + row.id).intdigest()
    at = row.entry.offset
    frame = head + payload + FRAME_TAIL.pack(row.id, check)
    assert at + len(frame) <= len(data)
    backend.held[row.pack] = data[:at] + frame + data[at + len(frame) :]
    if entry != row.entry:
        put_row(backend, row.id, entry)


def put_row(backend: MemoryBackend, id: ObjectId, entry: Entry) -> None:
    """Change what the index says of an object."""

    def change(segment: Segment) -> None:
        for number, raw in enumerate(segment.rows):
            if raw[:32] == id:
                segment.rows[number] = ROW.pack(id, ROW.unpack(raw)[1], *entry)

    for name in segments_naming(backend, id):
        put_segment(backend, name, change)
