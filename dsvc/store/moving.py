"""Moving objects from packs that are mostly garbage to new ones, frame by frame and verified."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator

import xxhash

from dsvc.errors import DamagedError
from dsvc.store.backend import Backend
from dsvc.store.bulk import NEAR, Stretch, read_frames, stretches
from dsvc.store.frame import FRAME_HEAD, FRAME_TAIL, RAW, Entry, check_frame, check_frame_head, damaged
from dsvc.store.ids import Kind, ObjectId
from dsvc.store.pack import HISTORY_KINDS, PIECE, PackClass, PackInfo, PackWriter
from dsvc.store.table import Array, Table, as_ids

BIG = 16 << 20  # bytes: a bigger raw blob is copied piece by piece
Tell = Callable[[str, int, int | None], None]


class Move:
    """Objects on their way to new packs. Each is copied once, whatever tables ask for it.

    `damaged` says why packs stay: what follows the damage in them was not copied.
    """

    def __init__(self, backend: Backend, near: int = NEAR, tell: Tell | None = None) -> None:
        self._backend = backend
        self._near = near
        self._tell = tell
        self._writers: list[PackWriter] = []
        self._open: dict[PackClass, int] = {}
        self._ids = bytearray()
        self._homes = array("q")
        self._offsets = array("q")
        self._ends: dict[int, int] = {}  # of history packs, where history ends and other structure begins
        self.damaged: dict[ObjectId, DamagedError] = {}

    def copy(self, table: Table, rows: Array) -> None:
        """Copy the objects of some rows that were not copied yet. Raises NotFoundError where a pack is gone."""
        self._ends = _history_ends(table)
        homes, _ = self.homes(table)
        left = rows[homes[rows] < 0]
        for stretch in stretches(table, left, self._near):
            pack = table.packs[stretch.pack]
            if pack.id in self.damaged:
                continue
            try:
                self._copy(table, stretch, pack)
            except DamagedError as error:
                self.damaged[pack.id] = error
            if self._tell is not None:
                self._tell("copy objects", len(self._homes), None)

    def _copy(self, table: Table, stretch: Stretch, pack: PackInfo) -> None:
        if stretch.end - stretch.start > BIG and len(stretch.rows) == 1 and self._copy_big(table, stretch, pack):
            return
        where = f"pack {pack.id.short()}"
        for _, id, entry, frame in read_frames(self._backend, table, stretch):
            check_frame(frame, id, entry, where)
            is_loose = entry.offset > self._ends.get(stretch.pack, entry.offset)
            home = self._home(PackClass.STRUCTURE if is_loose else pack.pack_class)
            self._note(id, home, self._writers[home].append_frame(id, entry, frame).offset)

    def _copy_big(self, table: Table, stretch: Stretch, pack: PackInfo) -> bool:
        """Copy a big raw blob piece by piece; False where it is none."""
        row = stretch.rows[0]
        id, entry = table.id(row), table.entry(row)
        if entry.kind != Kind.BLOB or entry.codec != RAW:
            return False
        home = self._home(pack.pack_class)
        moved = self._writers[home].append_pieces(id, entry, _checked(self._backend, pack, id, entry))
        self._note(id, home, moved.offset)
        return True

    def _note(self, id: ObjectId, home: int, offset: int) -> None:
        self._ids += id
        self._homes.append(home)
        self._offsets.append(offset)

    def _home(self, pack_class: PackClass) -> int:
        """The number of the pack of a class that has room."""
        home = self._open.get(pack_class)
        if home is not None and self._writers[home].full:
            self._writers[self._open.pop(pack_class)].finish()
            home = None
        if home is None:
            home = self._open[pack_class] = len(self._writers)
            self._writers.append(PackWriter(self._backend, pack_class))
        return home

    def homes(self, table: Table) -> tuple[Array, Array]:
        """Of each row of a table the number of the pack that its object was copied to, -1 for none, and where there."""
        import numpy as np

        homes, offsets = np.full(len(table), -1, np.int64), np.zeros(len(table), np.int64)
        rows = table.find(as_ids(bytes(self._ids)))
        here = rows >= 0
        homes[rows[here]] = np.array(self._homes, np.int64)[here]
        offsets[rows[here]] = np.array(self._offsets, np.int64)[here]
        # Of an object that several segments list, the row that is kept need not be the first one.
        while len(later := np.flatnonzero(~table.is_first & (homes < 0) & (np.roll(homes, 1) >= 0))):
            homes[later], offsets[later] = homes[later - 1], offsets[later - 1]
        return homes, offsets

    def finish(self) -> list[PackInfo]:
        """Make the new packs durable, by number; more may follow."""
        for home in self._open.values():
            self._writers[home].finish()
        self._open.clear()
        return [writer.info for writer in self._writers if writer.info is not None]

    def drop(self) -> None:
        """Remove what was copied; only where nothing can list it."""
        for writer in self._writers:
            writer.abort()
            if writer.info is not None:
                self._backend.delete(writer.info.name)


def _history_ends(table: Table) -> dict[int, int]:
    """Of each history pack, by its number, where its last commit, snapshot or operation lies: what lies behind that is
    structure of a small transaction."""
    import numpy as np

    rows = table.rows[np.isin(table.rows["kind"], list(HISTORY_KINDS))]
    ends = np.full(len(table.packs), -1, np.int64)
    np.maximum.at(ends, rows["pack"].astype(np.int64), rows["offset"].astype(np.int64))
    return {at: end for at, end in enumerate(ends.tolist()) if table.packs[at].pack_class is PackClass.HISTORY}


def _checked(backend: Backend, pack: PackInfo, id: ObjectId, entry: Entry) -> Iterator[bytes]:
    """The bytes of a frame in pieces; raises DamagedError, at the end, where its checksum does not match."""
    where = f"pack {pack.id.short()}"
    head = backend.read(pack.name, entry.offset, FRAME_HEAD.size)
    check_frame_head(head, id, entry, where)
    yield head
    check, end = xxhash.xxh3_64(head), entry.offset + entry.length - FRAME_TAIL.size
    for at in range(entry.offset + FRAME_HEAD.size, end, PIECE):
        piece = backend.read(pack.name, at, min(PIECE, end - at))
        check.update(piece)
        yield piece
    check.update(id)
    tail = backend.read(pack.name, end, FRAME_TAIL.size)
    if tail != FRAME_TAIL.pack(id, check.intdigest()):
        raise damaged(id, entry.kind, where, "its checksum does not match")
    yield tail
