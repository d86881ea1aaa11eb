"""The table: every object of a catalog as rows of arrays, for work that looks at all of them."""

from __future__ import annotations

from typing import Any

from dsvc.errors import DamagedError
from dsvc.store.catalog import Catalog
from dsvc.store.frame import Entry
from dsvc.store.ids import ObjectId
from dsvc.store.index import ROW
from dsvc.store.pack import PackInfo

Array = Any  # a numpy array
_SIZE = ObjectId.SIZE


class Table:
    """The rows of some segments, ascending by id; of an object that several list, the row of the newest comes first.
    Rows that name a pack which is gone are left out.

    `rows` has the fields of an index row, with the number of a pack in `packs`; `ids` are their ids, `is_first` tells
    the first row of each id, `owners` the number of each pack's segment.
    """

    def __init__(self, catalog: Catalog) -> None:
        """Of all segments of a catalog. Raises NotFoundError or DamagedError."""
        import numpy as np

        self.catalog = catalog
        self.segments = catalog.manifest.segments
        self.packs: list[PackInfo] = []
        self._owners: list[int] = []
        newest_first = [self._read(number) for number in reversed(range(len(self.segments)))]
        # Joined as bytes: numpy would turn the numbers into those of this machine.
        rows = np.frombuffer(b"".join(part.tobytes() for part in newest_first), _type())
        self.ids = np.ascontiguousarray(rows["id"])
        order = _order(self.ids) if len(newest_first) > 1 else None
        if order is not None:
            rows, self.ids = rows[order], self.ids[order]
        self.rows = rows
        self._prefixes = _words(self.ids)[:, 0].astype(np.uint64)
        self.is_first = np.ones(len(rows), bool)
        self.is_first[1:] = self.ids[1:] != self.ids[:-1]
        self.owners = np.array(self._owners, np.int64)

    def _read(self, number: int) -> Array:
        import numpy as np

        segment = self.catalog.segment(number)
        rows = np.frombuffer(segment.read_rows(), _type()).copy()
        if len(rows) and int(rows["pack"].max()) >= len(segment.packs):
            raise DamagedError(f"index segment {segment.info.id.short()} is damaged: a row names no pack")
        there = np.array([pack.id not in self.catalog.manifest.gone for pack in segment.packs], bool)
        rows = rows[there[rows["pack"].astype(np.int64)]]
        rows["pack"] = len(self.packs) + (np.cumsum(there) - 1)[rows["pack"].astype(np.int64)]
        packs = [pack for pack in segment.packs if pack.id not in self.catalog.manifest.gone]
        self.packs += packs
        self._owners += [number] * len(packs)
        return rows

    def __len__(self) -> int:
        return len(self.rows)

    def find(self, ids: Array) -> Array:
        """The number of the first row of each of some ids, -1 where there is none."""
        import numpy as np

        if not len(self.rows) or not len(ids):
            return np.full(len(ids), -1, np.int64)
        wanted = _words(ids)[:, 0].astype(np.uint64)
        at = np.searchsorted(self._prefixes, wanted)
        found = np.where(self.ids[np.minimum(at, len(self) - 1)] == ids, at, -1)
        for number in np.flatnonzero(found < 0):  # absent, or behind another id that begins alike
            place = int(at[number])
            while place < len(self) and self._prefixes[place] == wanted[number]:
                if self.ids[place] == ids[number]:
                    found[number] = place
                    break
                place += 1
        return found

    def id(self, number: int) -> ObjectId:
        """The id of a row."""
        return ObjectId(self.rows[number].tobytes()[:_SIZE])

    def entry(self, number: int) -> Entry:
        """Where in its pack the object of a row lies."""
        _, _, *fields = ROW.unpack(self.rows[number].tobytes())
        return Entry(*fields)


def as_ids(joined: bytes) -> Array:
    """Ids that stand one after another, as an array."""
    import numpy as np

    return np.frombuffer(joined, f"S{_SIZE}") if joined else np.empty(0, f"S{_SIZE}")


def _type() -> Any:
    import numpy as np

    fields = [("id", f"S{_SIZE}"), ("pack", ">u4"), ("offset", ">u4"), ("stored", ">u8"), ("raw", ">u8")]
    return np.dtype([*fields, ("kind", "u1"), ("codec", "u1")])


def _words(ids: Array) -> Array:
    """Ids as four numbers each, which sort as they do."""
    return ids.view(">u8").reshape(-1, _SIZE // 8)


def _order(ids: Array) -> Array:
    """What sorts ids; of equal ones the first stays first."""
    import numpy as np

    words = _words(ids)
    order = np.argsort(words[:, 0].astype(np.uint64), kind="stable")
    sorted_ids, first = ids[order], words[order, 0]
    if np.any((first[1:] == first[:-1]) & (sorted_ids[1:] != sorted_ids[:-1])):  # rare: they begin alike
        return np.lexsort([words[:, at] for at in reversed(range(words.shape[1]))])
    return order
