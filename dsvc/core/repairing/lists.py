"""Mending the lists: head, manifest and index segments, from what packs say of themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple

from dsvc.core.oddities import Finding
from dsvc.errors import DamagedError, NotFoundError, RefusedError
from dsvc.model.view import Operation, decode_operation
from dsvc.store.backend import Backend
from dsvc.store.frame import CHUNKED, FRAME_HEAD, Entry, open_frame
from dsvc.store.head import CHUNKED_BLOBS, Head
from dsvc.store.ids import Kind, ObjectId
from dsvc.store.index import Segment, pack_row, segment_name, write_segment
from dsvc.store.manifest import Collected, Manifest, SegmentInfo, manifest_name, read_manifest, write_manifest
from dsvc.store.pack import PackInfo, read_frame, read_pack_index
from dsvc.store.rewrite import pack_of, relisted, segment_rows

_BACKUP = "restore .dsvc from a backup, or clone it anew: dsvc clone URL"


class Row(NamedTuple):
    """An object in a pack."""

    id: ObjectId
    pack: PackInfo
    entry: Entry


def mend_lists(backend: Backend, keep: Callable[[str], None]) -> list[Finding]:
    """Make head, manifest and index anew where they are damaged or lost, and say what was done.

    `keep` is given the name of each file that is replaced. Raises RefusedError where nothing is left to go by.
    """
    raw = backend.read_head()
    head = _read_head(raw)
    manifest = _read_manifest(backend, head.manifest) if head is not None else None
    done: list[Finding] = []
    if head is None:
        found = _published(backend)
        if found is not None:
            operation, manifest = found
            done.append(Finding("head", "head", f"{_lost(raw)}; set to {_said(operation, 'a manifest')}"))
            _publish(backend, raw, _head_of(operation.id, manifest, backend), keep)
            return done + mend_lists(backend, keep)
    whole = _whole_segments(backend, manifest)
    if head is not None and manifest is not None and len(whole) == len(manifest.segments):
        return []
    for segment in manifest.segments if manifest is not None else ():
        if segment not in {one.info for one in whole}:
            _set_aside(backend, segment_name(segment.id), keep)
    made, rows = _new_segment(backend, whole)
    listed = tuple(sorted([segment.info for segment in whole] + ([made] if made else []), key=lambda info: -info.rows))
    if manifest is None:
        done.append(Finding("manifest", "manifest", "lost; made anew from the index and the packs"))
    elif len(whole) < len(manifest.segments):
        all_, count = len(manifest.segments), len(manifest.segments) - len(whole)
        done.append(Finding("index", "index", f"{count} of {all_} segments lost; made anew from packs"))
    operations = _operations(backend, [*_rows_of(whole), *rows])
    if head is None:
        operation = _last(operations)
        done.append(Finding("head", "head", f"{_lost(raw)}; set to {_said(operation, 'the packs')}"))
    last = head.operation if head is not None else operation.id
    collected = manifest.collected if manifest is not None else _end_of(last, operations)
    new = replace(relisted(backend, manifest or Manifest(), listed), collected=collected)
    mended = replace(head, manifest=new.id) if head is not None else _head_of(last, new, backend)
    if head is not None and manifest is None:
        _set_aside(backend, manifest_name(head.manifest), keep)
    write_manifest(backend, new)
    _publish(backend, raw, mended, keep)
    if head is not None and head.manifest != new.id:
        backend.delete(manifest_name(head.manifest))
    return done


def _set_aside(backend: Backend, name: str, keep: Callable[[str], None]) -> None:
    """Keep a damaged file, and let the backend know that it is gone: the new one may have its name."""
    keep(name)
    backend.delete(name)


def _lost(raw: bytes | None) -> str:
    return "lost" if raw is None else "damaged"


def _read_head(raw: bytes | None) -> Head | None:
    """The head, or None where it is lost or damaged. Raises UnsupportedFormatError."""
    try:
        return Head.decode(raw) if raw is not None else None
    except DamagedError:
        return None


def _read_manifest(backend: Backend, id: ObjectId) -> Manifest | None:
    try:
        return read_manifest(backend, id)
    except (DamagedError, NotFoundError):
        return None


def _whole_segments(backend: Backend, manifest: Manifest | None) -> list[Segment]:
    """The segments of a manifest that are whole; without one, whole ones that are there and share no pack."""
    if manifest is not None:
        return [segment for info in manifest.segments if (segment := _open(backend, info)) is not None]
    found, taken = list[Segment](), set[PackInfo]()
    infos = (_info_of(backend, name) for name in backend.names("index/"))
    for info in sorted((info for info in infos if info is not None), key=lambda info: -info.rows):
        segment = _open(backend, info)
        # One that was merged into another names packs that are gone.
        if segment is None or not taken.isdisjoint(segment.packs) or not _has_packs(backend, segment.packs):
            continue
        taken.update(segment.packs)
        found.append(segment)
    return found


def _open(backend: Backend, info: SegmentInfo) -> Segment | None:
    try:
        segment = Segment(backend, info)
        segment.check_whole()
    except (DamagedError, NotFoundError):
        return None
    return segment


def _info_of(backend: Backend, name: str) -> SegmentInfo | None:
    """What the manifest said of a segment, by its file alone."""
    try:
        return Segment.info_of(backend, ObjectId.parse(name.rpartition("/")[2]))
    except (ValueError, DamagedError, NotFoundError):
        return None


def _has_packs(backend: Backend, packs: Iterable[PackInfo]) -> bool:
    try:
        return all(backend.size(pack.name) == pack.size for pack in packs)
    except NotFoundError:
        return False


def _new_segment(backend: Backend, whole: list[Segment]) -> tuple[SegmentInfo | None, list[Row]]:
    """A segment of all packs that no other one lists, and its rows."""
    listed = {pack.name for segment in whole for pack in segment.packs}
    rows: dict[ObjectId, Row] = {}
    packs: list[PackInfo] = []
    for name in backend.names("packs/"):
        found = scan_rows(backend, name) if name not in listed else []
        if found:
            packs.append(found[0].pack)
            rows |= {row.id: row for row in found}
    if not rows:
        return None, []
    numbers = {pack: number for number, pack in enumerate(packs)}
    lines = sorted(pack_row(row.id, numbers[row.pack], row.entry) for row in rows.values())
    return write_segment(backend, lines, len(lines), packs), list(rows.values())


def scan_rows(backend: Backend, name: str) -> list[Row]:
    """The objects that a pack's own index names; none where it has no whole index."""
    try:
        pack = pack_of(backend, name)
        return [Row(id, pack, _entry(backend, pack, offset)) for id, offset in read_pack_index(backend, pack)]
    except (DamagedError, NotFoundError):
        return []


def _entry(backend: Backend, pack: PackInfo, offset: int) -> Entry:
    data = backend.read(pack.name, offset, FRAME_HEAD.size)
    if len(data) != FRAME_HEAD.size:
        raise DamagedError(f"pack {pack.id.short()} is damaged: a frame lies beyond its end")
    _, kind, codec, raw, stored = FRAME_HEAD.unpack(data)
    return Entry(offset, stored, raw, kind, codec)


# ---- the last operation


class _Found(NamedTuple):
    """An operation, and how many there are in its chain."""

    id: ObjectId
    operation: Operation
    depth: int


def _published(backend: Backend) -> tuple[_Found, Manifest] | None:
    """The last operation that a manifest lists whose segments are all whole, and that manifest; None without one."""
    best: tuple[_Found, Manifest] | None = None
    for name in backend.names("manifests/"):
        try:
            manifest = read_manifest(backend, ObjectId.parse(name.rpartition("/")[2]))
        except (ValueError, DamagedError, NotFoundError):
            continue
        whole = _whole_segments(backend, manifest)
        found = _operations(backend, _rows_of(whole)) if len(whole) == len(manifest.segments) else {}
        if found and (best is None or _rank(_last(found)) > _rank(best[0])):
            best = _last(found), manifest
    return best


def _rows_of(segments: Iterable[Segment]) -> list[Row]:
    return [
        Row(id, segment.packs[pack], entry)
        for segment in segments
        for id, pack, entry in segment_rows(segment)
        if entry.kind == Kind.OPERATION and pack < len(segment.packs)
    ]


def _operations(backend: Backend, rows: Iterable[Row]) -> dict[ObjectId, Operation]:
    """The operations among some objects that can be read."""
    found: dict[ObjectId, Operation] = {}
    for id, pack, entry in rows:
        if entry.kind == Kind.OPERATION:
            try:
                frame = read_frame(backend, pack, id, entry)
                found[id] = decode_operation(open_frame(frame, id, entry, f"pack {pack.id.short()}"), id)
            except (DamagedError, NotFoundError):
                continue
    return found


def _last(operations: dict[ObjectId, Operation]) -> _Found:
    """The end of the longest chain; of several, the latest. Raises RefusedError where there is no operation."""
    depths: dict[ObjectId, int] = {}
    for start in operations:
        chain: list[ObjectId] = []
        id: ObjectId | None = start
        while id is not None and id in operations and id not in depths:
            chain.append(id)
            id = next(iter(operations[id].parents), None)
        depth = depths.get(id, 0) if id is not None else 0
        for at, one in enumerate(reversed(chain)):
            depths[one] = depth + at + 1
    if not depths:
        raise RefusedError("no operation is left in any pack, so that nothing says what stood where", _BACKUP)
    return max((_Found(id, operations[id], depth) for id, depth in depths.items()), key=_rank)


def _end_of(last: ObjectId, operations: dict[ObjectId, Operation]) -> Collected:
    """Where the chain of operations ends that leads to the last one, when it does so before the first."""
    id, parents = last, operations[last].parents if last in operations else ()
    while parents and parents[0] in operations:
        id, parents = parents[0], operations[parents[0]].parents
    return Collected(1, 0, id) if parents else Collected()


def _rank(found: _Found) -> tuple[int, int, ObjectId]:
    return found.depth, found.operation.time.seconds, found.id


def _said(found: _Found, where: str) -> str:
    command = found.operation.command
    return f"operation {found.id.short()} ({command}), the last of the longest chain, {found.depth:,}, in {where}"


def _head_of(operation: ObjectId, manifest: Manifest, backend: Backend) -> Head:
    """The head of an operation, with what a reader has to know."""
    head = Head(operation, manifest.id)
    segments = [segment for info in manifest.segments if (segment := _open(backend, info)) is not None]
    if any(entry.codec == CHUNKED for segment in segments for _, _, entry in segment_rows(segment)):
        head = head.needing(CHUNKED_BLOBS)
    return head


def _publish(backend: Backend, raw: bytes | None, head: Head, keep: Callable[[str], None]) -> None:
    """Put a head in place of what is there. Raises RefusedError where another one was faster."""
    if raw is not None:
        keep("head")
    if not backend.swap_head(raw, head.encode()):
        raise RefusedError("the repository was changed meanwhile; nothing was lost", "run the command again")
