"""Copying what commits reach from one store to another: what the other one lacks, found by walking differences.

A commit, a snapshot or a node that is there has all that it reaches there, since all of it became visible in one
publish. So a walk stops at every object that is there, and reads no more than what differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from dsvc.core.keys import check_key
from dsvc.errors import DamagedError, DsvcError, RefusedError
from dsvc.model.commit import decode_commit
from dsvc.model.incoming import Progress
from dsvc.model.node import Child, Inner, Leaf, Node, decode_node
from dsvc.model.reach import blobs_of
from dsvc.model.records import decode_concept, decode_input
from dsvc.model.snapshot import decode_roots
from dsvc.store.ids import Kind, ObjectId

if TYPE_CHECKING:
    from dsvc.store.frame import Packed
    from dsvc.store.objects import ObjectStore
    from dsvc.store.writer import ObjectWriter

BIG = 16 << 20  # a bigger blob goes piece by piece
T = TypeVar("T")
_TOLD = 256  # objects between two reports of progress


class Source:
    """The store that objects come from. `failure` makes the error that is told of what is damaged or missing in it."""

    def __init__(self, store: ObjectStore, failure: Callable[[DamagedError], DsvcError]) -> None:
        self._store = store
        self.failure = failure

    @contextmanager
    def blamed(self) -> Iterator[None]:
        """Tell of what the body finds damaged as of damage in this store."""
        try:
            yield
        except DamagedError as error:
            raise self.failure(error) from error

    def take(self, id: ObjectId, kind: Kind, most: int | None = None) -> Packed | None:
        """An object, verified, with its frame; None where it has more bytes than `most`."""
        try:
            return self._store.get_packed(id, kind, most)
        except DamagedError as error:
            raise self.failure(error) from error

    def has_commit(self, id: ObjectId) -> bool:
        """Whether the commit is there."""
        with self.blamed():
            return self._store.has(id, Kind.COMMIT)

    def blob_size(self, id: ObjectId) -> int:
        """A blob's byte size."""
        with self.blamed():
            return self._store.blob_size(id)

    def pieces(self, id: ObjectId) -> Iterator[bytes]:
        """A blob piece by piece, verified at the end."""
        with self.blamed():
            yield from self._store.open_blob(id)


class Copier:
    """Stages what a transaction of one store needs of another. The counts are those of what was staged."""

    def __init__(self, source: Source, writer: ObjectWriter, progress: Progress | None = None) -> None:
        self._source = source
        self._writer = writer
        self._progress = progress
        self.commits: set[ObjectId] = set()
        self.objects = 0
        self.bytes = 0

    def copy(self, commits: Iterable[ObjectId]) -> None:
        """Stage what these commits reach and what is not there yet, a commit's parents after it."""
        queue = sorted(commits)
        while queue:
            id = queue.pop()
            if self._writer.has(id, Kind.COMMIT):
                continue
            commit = self._decoded(decode_commit, id, Kind.COMMIT)
            self.commits.add(id)
            self._snapshot(commit.snapshot)
            queue += [*commit.parents, *commit.sources.values()]
        self._tell()

    def _snapshot(self, id: ObjectId) -> None:
        if self._writer.has(id, Kind.SNAPSHOT):
            return
        roots = self._decoded(decode_roots, id, Kind.SNAPSHOT)
        self._tree(roots.concepts, self._concepts)
        self._tree(roots.inputs, self._inputs)
        self._tree(roots.annotations, self._annotations)

    def _tree(self, root: ObjectId, take_rest: Callable[[Leaf], None]) -> None:
        """A tree's nodes, in the order of their keys, and what else its leaves name."""
        queue: list[tuple[ObjectId, Child | None, int]] = [(root, None, 0)]
        while queue:
            id, promised, level = queue.pop()
            if self._writer.has(id, Kind.NODE):
                continue
            node = self._decoded(decode_node, id, Kind.NODE)
            if promised is not None and not _keeps(node, promised, level):
                raise self._source.failure(DamagedError(f"node {id.short()} is not what its parent says"))
            if isinstance(node, Inner):
                queue += [(child.id, child, node.level - 1) for child in reversed(node.children)]
            else:
                take_rest(node)

    # A leaf that is here counts as one of which all is here. So no leaf may pass for one of another tree, whose media
    # would be left out; the keys of annotations alone hold a NUL.

    def _concepts(self, leaf: Leaf) -> None:
        for key, held in zip(leaf.keys, leaf.values, strict=True):
            value = self._value(held)
            with self._source.blamed():
                decode_concept(key, value)

    def _annotations(self, leaf: Leaf) -> None:
        for key in leaf.keys:
            if 0 not in key:
                raise self._source.failure(DamagedError(f"annotation {key.decode(errors='replace')!r} has no input"))
        if leaf.has_pointers:
            for held in leaf.values:
                self._value(held)

    def _inputs(self, leaf: Leaf) -> None:
        for key, held in zip(leaf.keys, leaf.values, strict=True):
            for blob in self._blobs(key, self._value(held)):
                self._blob(blob)

    def _blobs(self, key: bytes, value: bytes) -> list[ObjectId]:
        try:
            record = decode_input(key, value)
            check_key(record.key)  # which may become the name of a file here
            return list(blobs_of(record))
        except (DamagedError, RefusedError) as error:
            raise self._source.failure(DamagedError(error.message, error.hint)) from error

    def _value(self, held: object) -> bytes:
        """What a leaf holds for a value; one that lies outside it is staged."""
        if isinstance(held, bytes):
            return held
        id = ObjectId(held.data[1:])  # type: ignore[attr-defined] # the pointer, which decoding the node has checked
        if self._writer.has(id, Kind.VALUE):
            return self._writer.get(id, Kind.VALUE)
        return self._take(id, Kind.VALUE)

    def _blob(self, id: ObjectId) -> None:
        if self._writer.has(id, Kind.BLOB):
            return
        packed = self._source.take(id, Kind.BLOB, BIG)
        if packed is not None:
            self._put(packed)
            return
        size = self._source.blob_size(id)
        self._writer.put_blob(self._source.pieces(id), size)
        self._count(size)

    def _decoded(self, decode: Callable[[bytes, ObjectId], T], id: ObjectId, kind: Kind) -> T:
        """Stage an object and give what it says."""
        data = self._take(id, kind)
        with self._source.blamed():
            return decode(data, id)

    def _take(self, id: ObjectId, kind: Kind) -> bytes:
        """Stage an object and give its bytes."""
        packed = self._source.take(id, kind)
        assert packed is not None  # whatever its size
        self._put(packed)
        return packed.data

    def _put(self, packed: Packed) -> None:
        self._writer.put_packed(packed)
        self._count(len(packed.frame))

    def _count(self, size: int) -> None:
        self.objects += 1
        self.bytes += size
        if self.objects % _TOLD == 0:
            self._tell()

    def _tell(self) -> None:
        if self._progress is not None:
            self._progress("copy objects", self.objects, None)


def _keeps(node: Node, promised: Child, level: int) -> bool:
    """Whether a node is what its parent says of it."""
    return (
        node.level == level
        and node.keys[-1:] == [promised.key]
        and (node.count, node.conflicts) == (promised.entries, promised.conflicts)
    )
