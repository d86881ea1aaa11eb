"""Reading many objects: in the order in which they lie, and neighbours at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from dsvc.errors import DamagedError
from dsvc.store.backend import Backend
from dsvc.store.frame import FRAME_OVERHEAD, Entry, open_frame
from dsvc.store.ids import ObjectId
from dsvc.store.index import ROW
from dsvc.store.table import Array, Table

NEAR = 32 << 10  # bytes between two objects that are read over: what costs less than one more call
_WINDOW = 8 << 20  # bytes that are read at once, unless one object has more


class Stretch(NamedTuple):
    """Rows whose frames lie near each other in one pack, in their order there, and where that begins and ends."""

    pack: int
    start: int
    end: int
    rows: list[int]


def stretches(table: Table, numbers: Array, near: int = NEAR) -> Iterator[Stretch]:
    """The frames of some rows, in the order of packs and places, as stretches to be read at once."""
    import numpy as np

    rows = table.rows[numbers]
    order = np.lexsort([rows["offset"], rows["pack"]])
    starts = rows["offset"][order].astype(np.int64)
    ends = (starts + rows["stored"][order].astype(np.int64) + FRAME_OVERHEAD).tolist()
    packs, places = rows["pack"][order].tolist(), starts.tolist()
    found: Stretch | None = None
    for row, pack, start, end in zip(np.asarray(numbers)[order].tolist(), packs, places, ends, strict=True):
        if found is None or pack != found.pack or start - found.end > near or end - found.start > _WINDOW:
            if found is not None:
                yield found
            found = Stretch(pack, start, end, [row])
        else:
            found.rows.append(row)
            found = found._replace(end=max(end, found.end))
    if found is not None:
        yield found


def read_frames(backend: Backend, table: Table, stretch: Stretch) -> Iterator[tuple[int, ObjectId, Entry, bytes]]:
    """The rows of a stretch, each with its id, its entry and its frame, not yet verified. Raises NotFoundError."""
    pack = table.packs[stretch.pack]
    data = backend.read(pack.name, stretch.start, stretch.end - stretch.start)
    for row, (id, _, *fields) in zip(stretch.rows, ROW.iter_unpack(table.rows[stretch.rows].tobytes()), strict=True):
        entry = Entry(*fields)
        at = entry.offset - stretch.start
        # What lies beyond the pack's end is no part of it, even if the file has more.
        is_inside = entry.offset + entry.length <= pack.size
        yield row, ObjectId(id), entry, data[at : at + entry.length] if is_inside else b""


def read_objects(
    backend: Backend,
    table: Table,
    numbers: Array,
    near: int = NEAR,
    skip: Callable[[int, DamagedError], None] | None = None,
) -> Iterator[tuple[int, ObjectId, bytes]]:
    """Some rows, each with its id and its object, verified. Raises NotFoundError where a pack is gone, and DamagedError
    unless damaged rows are to be told to `skip`."""
    for stretch in stretches(table, numbers, near):
        where = f"pack {table.packs[stretch.pack].id.short()}"
        for row, id, entry, frame in read_frames(backend, table, stretch):
            try:
                yield row, id, open_frame(frame, id, entry, where)
            except DamagedError as error:
                if skip is None:
                    raise
                skip(row, error)
