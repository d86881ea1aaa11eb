"""Copying what commits reach from one store to another: what the other one lacks, found by walking differences.

A commit, a snapshot or a node that is there has all that it reaches there, since all of it became visible in one
publish. So a walk stops at every object that is there, and reads no more than what differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from dsvc.errors import DamagedError, DsvcError
from dsvc.model.commit import decode_commit
from dsvc.model.incoming import Progress
from dsvc.model.node import Inner, Leaf, decode_node
from dsvc.model.reach import blobs_of
from dsvc.model.records import decode_input
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
        self._tree(roots.concepts)
        self._tree(roots.inputs, media=True)
        self._tree(roots.annotations)

    def _tree(self, root: ObjectId, media: bool = False) -> None:
        """A tree's nodes, in the order of their keys, with the values that lie outside them, and the media."""
        queue = [root]
        while queue:
            id = queue.pop()
            if self._writer.has(id, Kind.NODE):
                continue
            node = self._decoded(decode_node, id, Kind.NODE)
            if isinstance(node, Inner):
                queue += [child.id for child in reversed(node.children)]
            elif media:
                self._inputs(node)
            elif node.has_pointers:
                for value in node.values:
                    self._value(value)

    def _inputs(self, leaf: Leaf) -> None:
        for key, held in zip(leaf.keys, leaf.values, strict=True):
            for blob in self._blobs(key, self._value(held)):
                self._blob(blob)

    def _blobs(self, key: bytes, value: bytes) -> list[ObjectId]:
        try:
            return list(blobs_of(decode_input(key, value)))
        except DamagedError as error:
            raise self._source.failure(error) from error

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
