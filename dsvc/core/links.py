"""The links between objects: everything that a ref or an operation needs, each once, and what of it is not there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from dsvc.core.operations import describe_ref
from dsvc.errors import DamagedError
from dsvc.model.commit import load_commit
from dsvc.model.node import Child, Inner, Reader, decode_node, keeps_promise, load_value
from dsvc.model.reach import blobs_of, commits_of
from dsvc.model.records import Media, decode_input
from dsvc.model.snapshot import load_roots
from dsvc.model.tree import NodeCache
from dsvc.model.view import (
    BRANCH,
    DATASET,
    DRAFT,
    EVALUATION,
    PIN,
    REMOTE,
    RUN,
    VERSION,
    AnyRef,
    DraftRef,
    TombstoneRef,
    View,
    load_operation,
    tombstones,
)
from dsvc.store.ids import Kind, ObjectId

if TYPE_CHECKING:
    from dsvc.core.repository import Repository


class Objects(Reader, Protocol):
    """Where objects are read, and looked for."""

    def has(self, id: ObjectId, kind: Kind | None = None) -> bool:
        """Whether an object is there."""


class Broken(NamedTuple):
    """An object that is needed and cannot be read: its kind, its name, what is wrong, and its id where it has one."""

    kind: str
    name: str
    text: str
    id: ObjectId | None


class Links:
    """What was found. `seen` is all that is needed, `tombstones` are those of today. `elsewhere` and `purged` count
    media that is absent in order; `going` are media that are still here though a tombstone names them."""

    def __init__(self, repository: Repository, objects: Objects | None = None, oldest: ObjectId | None = None) -> None:
        """Visit all that refs and operations need, in the repository or in other `objects`, back to the `oldest`
        operation, by default the one where the chain ends."""
        self._elsewhere = repository.store.elsewhere
        self._objects: Objects = objects or repository.store
        self._cache = NodeCache()
        self._lists = repository.store if objects is None else None
        self.tombstones: dict[ObjectId, TombstoneRef] = {}
        self.broken: list[Broken] = []
        self.seen: set[ObjectId] = set()
        self.elsewhere = 0
        self.purged = 0
        self.going: set[ObjectId] = set()
        # The earliest operation from which on nothing is broken, and whether one before it is lost.
        self.whole_from: ObjectId | None = None
        self.is_cut = False
        self._oldest = oldest or repository.store.state.catalog.manifest.collected.oldest
        self._walk(repository.store.head.operation)

    def _walk(self, last: ObjectId) -> None:
        id: ObjectId | None = last
        try:
            view = View(self._objects, load_operation(self._objects, last).view, self._cache)
            self.tombstones = tombstones(view)
        except DamagedError:  # told below
            pass
        while id is not None:
            self.seen.add(id)
            try:
                operation = load_operation(self._objects, id)
            except DamagedError as error:
                self.broken.append(Broken("operation", "log", error.message, id))
                self.is_cut = True
                return
            self._view(operation.view, f"operation {id.short()}")
            if not self.broken:
                self.whole_from = id
            id = operation.parents[0] if operation.parents and id != self._oldest else None

    def _view(self, root: ObjectId, name: str) -> None:
        if root in self.seen:
            return
        before = len(self.broken)
        self._tree(root, name)
        is_whole = len(self.broken) == before
        try:
            view = View(self._objects, root, self._cache)
            for kind in (DATASET, BRANCH, VERSION, DRAFT, PIN, REMOTE, RUN, EVALUATION):
                for ref, value in view.list(kind):
                    self._ref(describe_ref(ref), value)
        except DamagedError as error:
            if is_whole:  # else it was told of the node
                self.broken.append(Broken("view", name, error.message, None))

    def _ref(self, name: str, value: AnyRef) -> None:
        if isinstance(value, DraftRef):
            self._snapshot(value.snapshot, name)
        for commit in commits_of(value):
            self._commit(commit, name)

    def _commit(self, start: ObjectId, name: str) -> None:
        queue = [start]
        while queue:
            id = queue.pop()
            if id in self.seen:
                continue
            self.seen.add(id)
            try:
                commit = load_commit(self._objects, id)
            except DamagedError as error:
                self._break("commit", id, error, name)
                continue
            self._snapshot(commit.snapshot, f"commit {id.short()}")
            queue += [*commit.parents, *commit.sources.values()]

    def _snapshot(self, id: ObjectId, name: str) -> None:
        if id in self.seen:
            return
        self.seen.add(id)
        try:
            roots = load_roots(self._objects, id)
        except DamagedError as error:
            self._break("snapshot", id, error, name)
            return
        self._tree(roots.concepts, f"concepts of {name}")
        self._tree(roots.inputs, f"inputs of {name}", self._media)
        self._tree(roots.annotations, f"annotations of {name}")

    def _media(self, key: bytes, value: bytes) -> None:
        record = decode_input(key, value)
        for blob in blobs_of(record):
            if blob not in self.seen:
                self.seen.add(blob)
                if blob in self.tombstones and self._objects.has(blob):
                    self.going.add(blob)
                elif blob in self.tombstones:
                    self.purged += 1
                elif not self._objects.has(blob):
                    self._absent(key, blob)
        if record.media is not None and record.media.chunks is not None:
            self._chunks(key, record.media)

    def _chunks(self, key: bytes, media: Media) -> None:
        """Media whose chunks are listed: the record has to name the right list. (What is in it, `verify` has seen.)"""
        if self._lists is None or media.blob is None or not self._lists.has_media(media.blob):
            return
        chunks = self._lists.chunk_list(media.blob)
        if chunks is not None and chunks.id != media.chunks:
            text = f"input {key.decode()!r} names another list of chunks than its bytes have"
            self.broken.append(Broken("blob", media.blob.short(), text, None))

    def _absent(self, key: bytes, blob: ObjectId) -> None:
        if self._elsewhere is not None and self._elsewhere.has(blob):
            self.elsewhere += 1
        else:
            self._lost(key, blob)

    def _lost(self, key: bytes, blob: ObjectId) -> None:
        text = f"the bytes of input {key.decode()!r} are missing"
        self.broken.append(Broken("blob", blob.short(), text, blob))

    def _tree(self, root: ObjectId, name: str, visit: Callable[[bytes, bytes], None] | None = None) -> None:
        queue: list[tuple[ObjectId, Child | None, int]] = [(root, None, 0)]
        while queue:
            id, promised, level = queue.pop()
            if id in self.seen:
                continue
            self.seen.add(id)
            try:
                node = decode_node(self._objects.get(id, Kind.NODE), id)
                if promised is not None and not keeps_promise(node, promised, level):
                    raise DamagedError(f"node {id.short()} is not what its parent says")
                if isinstance(node, Inner):
                    queue += [(child.id, child, node.level - 1) for child in node.children]
                    continue
            except DamagedError as error:
                self._break("node", id, error, name)
                continue
            for key, held in zip(node.keys, node.values, strict=True):
                self._entry(key, held, name, visit)

    def _entry(self, key: bytes, held: object, name: str, visit: Callable[[bytes, bytes], None] | None) -> None:
        """A value, which may lie outside its node."""
        outside = None if isinstance(held, bytes) else ObjectId(held.data[1:])  # type: ignore[attr-defined]
        try:
            if outside is not None:
                self.seen.add(outside)
            value = load_value(self._objects, held)
            if visit is not None:
                visit(key, value)
        except DamagedError as error:
            self._break("value" if outside is not None else "record", outside, error, name)

    def _break(self, kind: str, id: ObjectId | None, error: DamagedError, name: str) -> None:
        self.broken.append(Broken(kind, id.short() if id else name, f"{error.message}, which {name} needs", id))
