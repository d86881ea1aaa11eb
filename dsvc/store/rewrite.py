"""Rewriting packs without some of their objects, and publishing that with the operation that the head has.

The new packs, segments and manifest are written first, then the head is swapped, and only then are the old files
removed, at once: so a crash at any instant leaves a repository that is whole, and running again goes on.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import NamedTuple

from dsvc.errors import DamagedError, DsvcError, NotFoundError
from dsvc.store.backend import Backend
from dsvc.store.catalog import Catalog, State
from dsvc.store.frame import CHUNKED, FRAME_HEAD, FRAME_OVERHEAD, Entry
from dsvc.store.head import Head
from dsvc.store.ids import ObjectId
from dsvc.store.index import ROW, Segment, pack_row, segment_name, write_segment
from dsvc.store.manifest import Manifest, SegmentInfo, manifest_name, write_manifest
from dsvc.store.objects import ObjectStore
from dsvc.store.pack import (
    PACK_FOOT,
    PACK_HEAD,
    PACK_MAGIC,
    PACK_ROW,
    PIECE,
    PackClass,
    PackInfo,
    PackWriter,
    read_pack_index,
)

# Whether the copy of an object in a pack is to go.
Drop = Callable[[ObjectId, PackInfo], bool]


class Rewritten(NamedTuple):
    """What a rewriting took away: copies of objects, of how many bytes in packs, and how many packs it replaced."""

    objects: int = 0
    bytes: int = 0
    packs: int = 0


class Mending(NamedTuple):
    """What else a rewriting does: it lists `added` segments, and writes some packs `anew`, whatever lies in them.
    `aside` is given the name of every file before it is removed. `oldest` is where the chain of operations ends."""

    added: tuple[SegmentInfo, ...] = ()
    anew: frozenset[ObjectId] = frozenset()
    aside: Callable[[str], None] | None = None
    oldest: ObjectId | None = None


_NOTHING = Mending()


def rewrite(store: ObjectStore, drop: Drop, *, gaps: bool = False, mending: Mending = _NOTHING) -> Rewritten:
    """Take every copy of an object that `drop` is true of out of the packs that are listed. With `gaps`, packs that
    hold bytes which no row names are rewritten too, where these may be of such objects.

    What else lies in a pack is copied as it is, damaged frames too. Raises DamagedError where an index segment cannot
    be read; then nothing was changed.
    """
    for is_second in itertools.chain([False], itertools.repeat(True)):
        # Who lost a race holds off other local writers for the next try.
        turn: AbstractContextManager[None] = store.backend.turn() if is_second else nullcontext()
        with turn:
            store.refresh()
            attempt = _Attempt(store, drop, gaps, mending)
            try:
                if attempt.prepare() and not attempt.publish():
                    continue
            except NotFoundError as error:
                if store.backend.read_head() == attempt.base.raw:
                    hint = "Run `dsvc check --repair`, and again."
                    raise DamagedError(f"the repository is incomplete: {error.message}", hint) from error
                continue  # another one published meanwhile, and removed what it merged
            finally:
                attempt.close()
            attempt.remove_old()
            return attempt.done
    raise AssertionError("unreachable")


class _Attempt:
    """One try on one head."""

    def __init__(self, store: ObjectStore, drop: Drop, gaps: bool, mending: Mending) -> None:
        self._store = store
        self._mending = mending
        self._backend = store.backend
        self._drop = drop
        self._gaps = gaps
        self.base = store.state
        self.done = Rewritten()
        self._segments: list[SegmentInfo] = []
        self._written: list[str] = []
        self._old: list[str] = []
        self._movers: list[_Mover] = []
        self._is_listed = False

    def prepare(self) -> bool:
        """Write what is to be listed; False where nothing needs to change. Raises NotFoundError, DamagedError."""
        for number, info in enumerate(self.base.catalog.manifest.segments):
            segment = self.base.catalog.segment(number)
            affected = _affected(self._backend, segment, self._drop, self._gaps)
            affected |= {at for at, pack in enumerate(segment.packs) if pack.id in self._mending.anew}
            if affected:
                self._old.append(segment_name(info.id))
                self._rewrite(segment, affected)
            else:
                self._segments.append(info)
        if self._mending.added:
            # Runs that follow shrink, so that later ones are merged in their turn.
            self._segments = sorted((*self._segments, *self._mending.added), key=lambda info: -info.rows)
        return bool(self._old or self._mending.added or self._mending.oldest)

    def _rewrite(self, segment: Segment, affected: set[int]) -> None:
        """Write the packs and the segment that stand in place of one of the present manifest."""
        mover = _Mover(self._backend, self._written)
        self._movers.append(mover)
        # A pack that is lost has nothing to copy. Its rows stay, but for those that are dropped.
        replaced = {number for number in affected if is_there(self._backend, segment.packs[number])}
        dropped, size = set[ObjectId](), 0
        to_copy: dict[int, list[tuple[Entry, ObjectId]]] = {number: [] for number in sorted(replaced)}
        for id, pack, entry in segment_rows(segment):
            if pack in affected and self._drop(id, segment.packs[pack]):
                dropped.add(id)
                size += entry.length
            elif pack in replaced:
                to_copy[pack].append((entry, id))
        for number, frames in to_copy.items():
            for entry, id in sorted(frames):
                mover.copy(segment.packs[number], id, entry)
        self._old += [segment.packs[number].name for number in replaced]
        used = {pack for id, pack, _ in segment_rows(segment) if id not in dropped}
        lost = affected - replaced - used
        kept = [number for number in range(len(segment.packs)) if number not in replaced | lost]
        packs = [*(segment.packs[number] for number in kept), *mover.finish()]
        self._list(segment, packs, {old: new for new, old in enumerate(kept)}, mover, dropped)
        done = self.done
        self.done = Rewritten(done.objects + len(dropped), done.bytes + size, done.packs + len(replaced))

    def _list(
        self,
        segment: Segment,
        packs: list[PackInfo],
        numbers: dict[int, int],
        mover: _Mover,
        dropped: set[ObjectId],
    ) -> None:
        """Write the segment of what is left of one."""
        left = segment.info.rows - len(dropped)
        if not left:
            self._old += [pack.name for pack in packs]
            return
        moved = mover.moved({pack.id: number for number, pack in enumerate(packs)})
        fresh = (
            moved[id] if id in moved else pack_row(id, numbers[pack], entry)
            for id, pack, entry in segment_rows(segment)
            if id not in dropped
        )
        made = write_segment(self._backend, fresh, left, packs)
        self._written.append(segment_name(made.id))
        self._segments.append(made)

    def publish(self) -> bool:
        """Swap the head; False where another one was faster. Where it raises, it may be either."""
        assert self.base.head is not None  # an empty repository has nothing to rewrite
        collected = self.base.catalog.manifest.collected
        if self._mending.oldest is not None:
            collected = replace(collected, count=max(1, collected.count), oldest=self._mending.oldest)
        manifest = replace(relisted(self._backend, self.base.catalog.manifest, self._segments), collected=collected)
        self._written.append(manifest_name(manifest.id))
        write_manifest(self._backend, manifest)
        head = replace(self.base.head, manifest=manifest.id)
        self._is_listed = True  # as long as nobody says otherwise
        self._is_listed = self._swap(head)
        if self._is_listed:
            catalog = Catalog(self._backend, manifest, self.base.catalog)
            self._store.adopt(State(head.encode(), head, catalog))
        return self._is_listed

    def _swap(self, head: Head) -> bool:
        try:
            if self._backend.swap_head(self.base.raw, head.encode()):
                return True
        except Exception:  # no answer is neither yes nor no
            if self._backend.read_head() == head.encode():
                return True
            raise
        return self._backend.read_head() == head.encode()

    def remove_old(self) -> None:
        """Remove what is listed no more. Raises where a pack cannot be removed: its bytes were to go."""
        if not self._is_listed:
            return
        assert self.base.head is not None
        written = set(self._written)  # what comes out the same has the same name
        old = [name for name in [*self._old, manifest_name(self.base.head.manifest)] if name not in written]
        if self._mending.aside is not None:
            for name in old:
                with contextlib.suppress(NotFoundError):
                    self._mending.aside(name)
        self._backend.delete_all([name for name in old if name.startswith("packs/")])
        with contextlib.suppress(DsvcError):  # only room is lost; gc finds it
            self._backend.delete_all([name for name in old if not name.startswith("packs/")])

    def close(self) -> None:
        """Remove what was written for a head that nobody will see."""
        for mover in self._movers:
            mover.abort()
        if not self._is_listed and self._written:
            assert self.base.head is not None
            listed = {*self._old, manifest_name(self.base.head.manifest)}  # what came out the same has the same name
            with contextlib.suppress(DsvcError):
                self._backend.delete_all([name for name in self._written if name not in listed])


def relisted(backend: Backend, old: Manifest, segments: Iterable[SegmentInfo]) -> Manifest:
    """A manifest with other segments, with the history packs and those that are gone, as far as these list them.

    Raises NotFoundError or DamagedError.
    """
    listed = tuple(segments)
    packs = (pack for info in listed for pack in Segment(backend, info).packs)
    return old.listing(listed, packs)


class _Mover:
    """Copies frames into new packs."""

    def __init__(self, backend: Backend, written: list[str]) -> None:
        self._backend = backend
        self._written = written
        self._open: dict[PackClass, PackWriter] = {}
        self._packs: list[PackInfo] = []
        self._moved: dict[ObjectId, tuple[PackWriter, Entry]] = {}

    def copy(self, pack: PackInfo, id: ObjectId, entry: Entry) -> None:
        """Copy a frame as it is. One that is cut off is filled up: it stays as damaged as it was."""
        writer = self._open.get(pack.pack_class)
        if writer is not None and writer.full:
            self._close(pack.pack_class)
            writer = None
        if writer is None:
            writer = self._open[pack.pack_class] = PackWriter(self._backend, pack.pack_class)
        pieces = _pieces(self._backend, pack, entry)
        self._moved[id] = (writer, writer.append_pieces(id, entry, pieces))

    def _close(self, pack_class: PackClass) -> None:
        info = self._open.pop(pack_class).finish()
        self._written.append(info.name)
        self._packs.append(info)

    def finish(self) -> list[PackInfo]:
        """Make the packs durable; all of them."""
        for pack_class in list(self._open):
            self._close(pack_class)
        return self._packs

    def abort(self) -> None:
        """Drop the packs that are not finished."""
        for writer in self._open.values():
            writer.abort()

    def moved(self, numbers: dict[ObjectId, int]) -> dict[ObjectId, bytes]:
        """The rows of what was copied, by the numbers of the packs."""
        rows = {}
        for id, (writer, entry) in self._moved.items():
            assert writer.info is not None  # finished before
            rows[id] = pack_row(id, numbers[writer.info.id], entry)
        return rows


def segment_rows(segment: Segment) -> Iterator[tuple[ObjectId, int, Entry]]:
    """The rows of a segment, by id, each with the number of its pack. Raises NotFoundError or DamagedError."""
    for raw in segment.rows():
        id, pack, *fields = ROW.unpack(raw)
        yield ObjectId(id), pack, Entry(*fields)


def _affected(backend: Backend, segment: Segment, drop: Drop, gaps: bool) -> set[int]:
    """The numbers of a segment's packs that hold what is dropped."""
    hit: set[int] = set()
    counts, sizes = [0] * len(segment.packs), [0] * len(segment.packs)
    for id, pack, entry in segment_rows(segment):
        if pack >= len(segment.packs):
            raise DamagedError(f"index segment {segment.info.id.short()} is damaged: a row names no pack")
        counts[pack] += 1
        sizes[pack] += entry.length
        if drop(id, segment.packs[pack]):
            hit.add(pack)
    for number, info in enumerate(segment.packs):
        if not gaps or number in hit or info.pack_class is not PackClass.MEDIA:
            continue
        # A pack that its rows fill hides nothing.
        if info.size != whole_size(counts[number], sizes[number]) and _hides(backend, info, drop):
            hit.add(number)
    return hit


def whole_size(count: int, frames: int) -> int:
    """The byte size of a pack of so many frames that have so many bytes, without a gap."""
    return len(PACK_MAGIC) + frames + PACK_HEAD.size + count * PACK_ROW.size + PACK_FOOT.size


def _hides(backend: Backend, pack: PackInfo, drop: Drop) -> bool:
    """Whether a pack has a gap, or its own index names an object that is dropped, which no row does."""
    try:
        named = read_pack_index(backend, pack)
    except (DamagedError, NotFoundError):
        return False  # what of it can be read, the rows name
    if any(drop(id, pack) for id, _ in named):
        return True
    heads = (FRAME_HEAD.unpack(backend.read(pack.name, at, FRAME_HEAD.size)) for _, at in named)
    return pack.size != whole_size(len(named), sum(head[-1] + FRAME_OVERHEAD for head in heads))


def is_there(backend: Backend, pack: PackInfo) -> bool:
    """Whether a pack's file exists. One that is lost holds nothing that could be taken out of it."""
    try:
        return backend.size(pack.name) >= 0
    except NotFoundError:
        return False


def _pieces(backend: Backend, pack: PackInfo, entry: Entry) -> Iterator[bytes]:
    """A frame's bytes in pieces, exactly as many as it should have."""
    at, end = entry.offset, entry.offset + entry.length
    while at < end:
        piece = backend.read(pack.name, at, min(PIECE, end - at)) or bytes(min(PIECE, end - at))
        at += len(piece)
        yield piece


def chunked_blobs(store: ObjectStore) -> Iterator[ObjectId]:
    """The blobs of which the present head lists chunks."""
    catalog = store.state.catalog
    for number in range(len(catalog.manifest.segments)):
        yield from (id for id, _, entry in segment_rows(catalog.segment(number)) if entry.codec == CHUNKED)


def find_orphans(store: ObjectStore, wanted: Iterable[ObjectId]) -> list[str]:
    """The names of packs that nothing lists and that hold one of some objects, by their own indexes."""
    names = store.backend.names("packs/")  # before the head is read: what is published meanwhile is no orphan
    store.refresh()
    catalog, ids = store.state.catalog, set(wanted)
    for number in range(len(catalog.manifest.segments)):
        listed = {pack.name for pack in catalog.segment(number).packs}
        names = [name for name in names if name not in listed]
    return [name for name in names if not ids.isdisjoint(scan_pack(store.backend, name))]


def scan_pack(backend: Backend, name: str) -> dict[ObjectId, int]:
    """The ids and offsets that a pack's own index names; none where it has no whole index, or is gone."""
    try:
        return dict(read_pack_index(backend, pack_of(backend, name)))
    except (DamagedError, NotFoundError):
        return {}


def pack_of(backend: Backend, name: str) -> PackInfo:
    """What a pack tells of itself. Raises NotFoundError, DamagedError."""
    size = backend.size(name)
    damage = DamagedError(f"{name} is no whole pack")
    if size < len(PACK_MAGIC) + PACK_HEAD.size + PACK_FOOT.size:
        raise damage
    start, _ = PACK_FOOT.unpack(backend.read(name, size - PACK_FOOT.size, PACK_FOOT.size))
    head = backend.read(name, start, PACK_HEAD.size) if start < size else b""
    try:
        return PackInfo(ObjectId.parse(name.rpartition("/")[2]), size, PackClass(PACK_HEAD.unpack(head)[1]))
    except Exception as error:
        raise damage from error
