"""What is kept of counts: in memory while a program runs, and on disk beside the columns of filters."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from functools import partial
from weakref import WeakKeyDictionary

from dsvc.core.filters.columncache import ColumnCache
from dsvc.model.snapshot import Snapshot
from dsvc.model.tree import NodeCache
from dsvc.store.ids import ObjectId

FILE = "metrics.sqlite"
# Records from which on counts are kept on disk.
SMALL = 1
# Bytes that one program keeps in memory.
LIMIT = 64 << 20


class _Memory:
    """Parts by node and name, the least recently used leaving first."""

    def __init__(self) -> None:
        self._parts: OrderedDict[tuple[ObjectId, str], bytes] = OrderedDict()
        self._bytes = 0

    def get(self, key: tuple[ObjectId, str]) -> bytes | None:
        found = self._parts.get(key)
        if found is not None:
            self._parts.move_to_end(key)
        return found

    def put(self, key: tuple[ObjectId, str], data: bytes) -> None:
        self._bytes += len(data) - len(self._parts.pop(key, b""))
        self._parts[key] = data
        while self._bytes > LIMIT and self._parts:
            _, gone = self._parts.popitem(last=False)
            self._bytes -= len(gone)


# One for each repository that is open.
_memories: WeakKeyDictionary[NodeCache, _Memory] = WeakKeyDictionary()


class Keeper:
    """Loads and keeps parts of counts: of memory first, else of the disk."""

    def __init__(self, snapshot: Snapshot, disk: ColumnCache) -> None:
        self._memory = _memories.setdefault(snapshot.input_tree.cache, _Memory())
        self._disk = disk

    def load(self, key: ObjectId, names: Iterable[str]) -> dict[str, bytes]:
        """The parts of a node that are kept, of these names."""
        found = {name: data for name in names if (data := self._memory.get((key, name))) is not None}
        missing = [name for name in names if name not in found]
        if missing:
            for name, data in self._disk.load(key, missing).items():
                self._memory.put((key, name), data)
                found[name] = data
        return found

    def keep(self, key: ObjectId, parts: Mapping[str, bytes]) -> None:
        """Keep parts of a node."""
        for name, data in parts.items():
            self._memory.put((key, name), data)
        self._disk.keep(key, {name: partial(bytes, data) for name, data in parts.items()})


def disk(snapshot: Snapshot) -> ColumnCache:
    """Where counts of a snapshot are kept on disk; nowhere for an empty one."""
    trees = (snapshot.input_tree, snapshot.annotation_tree)
    return ColumnCache(max(trees, key=len), FILE, SMALL)
