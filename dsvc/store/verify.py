"""Verification: read everything that the head lists, and say what is damaged or missing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import xxhash

from dsvc.errors import DamagedError, NotFoundError
from dsvc.store.backend import Backend
from dsvc.store.cached import CachedBackend
from dsvc.store.catalog import Catalog
from dsvc.store.frame import CHUNKED, FRAME_HEAD, FRAME_TAIL, RAW, Entry, check_frame_head, damaged, open_frame
from dsvc.store.ids import Kind, ObjectId, blob_hasher
from dsvc.store.index import ROW, Segment, segment_name
from dsvc.store.limits import is_allowed
from dsvc.store.manifest import Manifest, manifest_name
from dsvc.store.memory import MemoryBackend
from dsvc.store.objects import ObjectStore
from dsvc.store.pack import PACK_TARGET, PIECE, PackClass, PackInfo, read_frame, read_pack_index

_WHOLE = 2 * PACK_TARGET


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be. `problem` is "damaged", "missing" or "orphan".

    Orphans are files that nothing lists: left over from interrupted work, harmless, removed by gc.
    """

    problem: str
    message: str
    object_id: ObjectId | None = None
    pack: ObjectId | None = None


def verify(store: ObjectStore) -> Iterator[Finding]:
    """Yield everything that is wrong, reading every byte that the present head lists.

    Raises DamagedError when head or manifest cannot be read at all.
    """
    store.refresh()
    catalog = store.state.catalog
    with contextlib.suppress(DamagedError):  # a segment that cannot be read is found below
        if not store.has(store.head.operation):
            yield Finding("missing", f"operation {store.head.operation} is missing", store.head.operation)
    listed = {manifest_name(store.head.manifest)}
    packs: set[PackInfo] = set()
    is_complete = True
    chunked: set[ObjectId] = set()
    for number, info in enumerate(catalog.manifest.segments):
        listed.add(segment_name(info.id))
        try:
            segment = _open_segment(store.backend, catalog, number)
        except (DamagedError, NotFoundError) as error:
            yield _finding(error, None, None)
            is_complete = False
            continue
        packs.update(segment.packs)
        yield from _verify_rows(store.backend, segment, catalog, chunked)
    if is_complete:
        yield from _verify_lists(catalog.manifest, packs)
    for id in sorted(chunked):
        yield from _verify_chunked(store, id)
    listed |= {pack.name for pack in packs if pack.id not in catalog.manifest.gone}
    for name in store.backend.names():
        if name not in listed:
            yield Finding("orphan", f"{name} is not listed")


def _open_segment(backend: Backend, catalog: Catalog, number: int) -> Segment:
    segment = Segment(backend, catalog.manifest.segments[number])
    segment.check_whole()
    return segment


def _finding(error: DamagedError | NotFoundError, id: ObjectId | None, pack: ObjectId | None) -> Finding:
    return Finding("missing" if isinstance(error, NotFoundError) else "damaged", error.message, id, pack)


def _verify_lists(manifest: Manifest, packs: set[PackInfo]) -> Iterator[Finding]:
    """Verify that the manifest's own lists of packs agree with the packs that its segments list."""
    history = {pack for pack in packs if pack.pack_class is PackClass.HISTORY and pack.id not in manifest.gone}
    for pack in sorted(history.symmetric_difference(manifest.history), key=lambda pack: pack.id):
        where = "the manifest" if pack in history else "an index segment"
        yield Finding("damaged", f"history pack {pack.id.short()} is not listed by {where}", None, pack.id)
    for id in sorted(manifest.gone - {pack.id for pack in packs}):
        yield Finding("damaged", f"no index segment lists pack {id.short()}, which the manifest says is gone", None, id)


def _verify_rows(backend: Backend, segment: Segment, catalog: Catalog, chunked: set[ObjectId]) -> Iterator[Finding]:
    """Verify every pack of a segment, and every row in the order of its frames; notes the blobs in chunks."""
    rows: list[list[tuple[ObjectId, Entry]]] = [[] for _ in segment.packs]
    for raw in segment.rows():
        id, pack, *fields = ROW.unpack(raw)
        if pack >= len(rows):
            yield Finding("damaged", f"object {ObjectId(id)} lies in no pack", ObjectId(id))
            continue
        rows[pack].append((ObjectId(id), Entry(*fields)))
    for pack_info, members in zip(segment.packs, rows, strict=True):
        chunked.update(id for id, entry in members if entry.codec == CHUNKED)
        if pack_info.id in catalog.manifest.gone:
            yield from _unlisted(catalog, pack_info, [id for id, _ in members])
        else:
            yield from _verify_pack(backend, pack_info, sorted(members, key=lambda row: row[1].offset), catalog)


def _unlisted(catalog: Catalog, pack: PackInfo, ids: list[ObjectId]) -> Iterator[Finding]:
    """Objects of a pack that no index lists, though one has to."""
    for id in ids:
        with contextlib.suppress(DamagedError, NotFoundError):  # a segment that cannot be read is found elsewhere
            if catalog.find(id) is None:
                yield Finding("missing", f"no index lists object {id} of pack {pack.id.short()}", id, pack.id)


def _verify_pack(
    backend: Backend, pack: PackInfo, rows: list[tuple[ObjectId, Entry]], catalog: Catalog
) -> Iterator[Finding]:
    try:
        backend = _near(backend, pack)
        offsets = dict(read_pack_index(backend, pack))
    except (DamagedError, NotFoundError) as error:
        yield _finding(error, None, pack.id)
        offsets = {id: entry.offset for id, entry in rows}  # what can still be read of it?
    for id, entry in rows:
        try:
            if offsets.get(id) != entry.offset:
                raise damaged(id, entry.kind, f"pack {pack.id.short()}", "the pack's own index disagrees")
            _verify_object(backend, pack, id, entry)
        except (DamagedError, NotFoundError) as error:
            yield _finding(error, id, pack.id)
    if pack.pack_class is PackClass.HISTORY:  # a reader may go by the pack's own index
        yield from _unlisted(catalog, pack, sorted(offsets.keys() - {id for id, _ in rows}))


def _near(backend: Backend, pack: PackInfo) -> Backend:
    """Where a pack is read: from memory, where a request for each object would take far longer than all of it."""
    if not isinstance(backend, CachedBackend) or pack.size > _WHOLE:
        return backend
    near = MemoryBackend()
    near.held[pack.name] = backend.distant.read(pack.name, 0, pack.size + 1)
    return near


def _verify_chunked(store: ObjectStore, id: ObjectId) -> Iterator[Finding]:
    """Verify that the chunks of a blob are listed, and make it up; its list was looked at before."""
    try:
        gone = [chunk for chunk in store.chunks(id) if store.state.catalog.find(chunk) is None]
        if gone:
            yield Finding("missing", f"blob {id} lacks {len(gone):,} of its chunks, such as {gone[0]}", id)
            return
        for _ in store.open_blob(id):
            pass
    except DamagedError as error:
        yield Finding("damaged", error.message, id)


def _verify_object(backend: Backend, pack: PackInfo, id: ObjectId, entry: Entry) -> None:
    if not is_allowed(entry.kind, entry.codec, entry.raw, entry.stored):
        raise damaged(id, entry.kind, f"pack {pack.id.short()}", "it has a length that none of its kind may have")
    if entry.codec != RAW or entry.raw <= PIECE:
        open_frame(read_frame(backend, pack, id, entry), id, entry, f"pack {pack.id.short()}")
    else:
        _verify_big(backend, pack, id, entry)


def _verify_big(backend: Backend, pack: PackInfo, id: ObjectId, entry: Entry) -> None:
    """Verify an uncompressed object a piece at a time."""
    where = f"pack {pack.id.short()}"
    if entry.kind != Kind.BLOB:  # only blobs grow big
        open_frame(read_frame(backend, pack, id, entry), id, entry, where)
        return
    head = backend.read(pack.name, entry.offset, FRAME_HEAD.size)
    check_frame_head(head, id, entry, where)
    check, hasher = xxhash.xxh3_64(head), blob_hasher()
    at, end = entry.offset + FRAME_HEAD.size, entry.offset + FRAME_HEAD.size + entry.stored
    while at < end:
        piece = backend.read(pack.name, at, min(PIECE, end - at))
        if not piece:
            raise damaged(id, entry.kind, where, "the pack ends too early")
        check.update(piece)
        hasher.update(piece)
        at += len(piece)
    check.update(id)
    if hasher.digest() != id or backend.read(pack.name, end, FRAME_TAIL.size) != FRAME_TAIL.pack(id, check.intdigest()):
        raise damaged(id, entry.kind, where, "its checksum does not match")
