"""Marking: which of a repository's objects are reached from what is to be kept.

Objects are rows of a table, and marks are arrays beside it. A walk goes through batches of ids of one sort, and reads
each object at most once for each part that it plays; leaves of concepts and annotations are not read at all where no
value lies outside of its node. What is read is verified: a damaged object on the way stops the walk, since what lies
behind it is unknown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from dsvc.errors import DamagedError, NotFoundError
from dsvc.model.node import Leaf, decode_node, encode_leaf, load_value
from dsvc.model.reach import children_of, commits_of, find_blobs, find_values
from dsvc.model.snapshot import decode_roots
from dsvc.model.view import AnyRef, DraftRef, Ref, decode_ref
from dsvc.store import codec
from dsvc.store.bulk import NEAR, read_objects
from dsvc.store.chunklist import ChunkList
from dsvc.store.frame import CHUNKED
from dsvc.store.ids import Kind, ObjectId, object_id
from dsvc.store.table import Array, Table, as_ids

if TYPE_CHECKING:
    from dsvc.model.incoming import Progress
    from dsvc.store.catalog import State
    from dsvc.store.objects import ObjectStore

# The parts that a node may play. Of one that nothing reaches nobody knows which it is: it is taken for any.
VIEW, PLAIN, INPUTS, ANY = 1, 2, 4, 8
# The level of a node that nobody has told, and that of values.
_UNTOLD, _VALUE = -1, -2
_EMPTY = object_id(Kind.NODE, encode_leaf([], []))
_FLUSH = 32 << 18  # bytes of ids of blobs that wait to be marked
_TOLD = 4096  # objects between two reports of progress


class Marker:
    """Marks what is kept: `live`, beside the rows of `table`, is true for it; `reached` but for what was kept with
    `keep_rows`."""

    def __init__(self, store: ObjectStore, near: int = NEAR, progress: Progress | None = None) -> None:
        """`near` is how many bytes between two objects are read over rather than asked for apart."""
        import numpy as np

        self._store = store
        self._near = near
        self._progress = progress
        self.state, self.table = _present(store)
        self.live = np.zeros(len(self.table), bool)
        self.reached = np.zeros(len(self.table), bool)
        self._parts = np.zeros(len(self.table), np.uint8)  # which parts each was read for
        self._pending: dict[tuple[int, int], bytearray] = defaultdict(bytearray)
        self._blobs = bytearray()
        self._history: dict[Kind, dict[ObjectId, bytes | DamagedError]] = {}
        self._commits: set[ObjectId] = set()
        self._snapshots: set[ObjectId] = set()
        self._named: list[AnyRef] = []  # refs that were found and not yet followed
        self._without: set[bytes] = set()
        self._is_tolerant = False
        self._count = 0

    # ---- what to keep

    def keep_operations(self, ids: Iterable[ObjectId]) -> None:
        """Mark operations, without those before them."""
        self._mark(b"".join(ids), Kind.OPERATION)

    def keep_empty_tree(self) -> None:
        """Mark the node of the tree without entries, if it is there: what has no commit yet is read as that."""
        if (self.table.find(as_ids(_EMPTY)) >= 0).all():
            self._mark(_EMPTY, Kind.NODE)

    def keep_views(self, roots: Iterable[ObjectId], without: frozenset[Ref] = frozenset()) -> None:
        """Mark views with all that their refs name, but for some refs. Raises DamagedError."""
        self._without = {"\0".join(ref).encode() for ref in without}
        self._pending[VIEW, _UNTOLD] += b"".join(roots)
        self._walk()

    def keep_rows(self, numbers: Array) -> None:
        """Mark some rows with all that they name, as far as it is there and can be read."""
        import numpy as np

        self._is_tolerant = True
        try:
            kinds = self.table.rows["kind"][numbers]
            ids = {kind: self.table.ids[numbers[kinds == kind]].tobytes() for kind in np.unique(kinds).tolist()}
            self._mark(ids.get(Kind.OPERATION, b""), Kind.OPERATION)
            self._keep_snapshots(_split(ids.get(Kind.SNAPSHOT, b"")))
            self._keep_commits(_split(ids.get(Kind.COMMIT, b"")))
            self._pending[ANY, _UNTOLD] += ids.get(Kind.NODE, b"")
            self._pending[ANY, _VALUE] += ids.get(Kind.VALUE, b"")
            self._blobs += ids.get(Kind.BLOB, b"")
            self._walk()
        finally:
            self._is_tolerant = False

    # ---- the table, and its like after others wrote

    def follow(self) -> bool:
        """Go over to the store's present state with all marks; whether that is another one."""
        import numpy as np

        self._store.refresh()
        if self._store.state is self.state:
            return False
        state, table = _present(self._store)
        live, reached, parts = (np.zeros(len(table), kind) for kind in (bool, bool, np.uint8))
        marked = np.flatnonzero(self.live | (self._parts > 0))
        at = table.find(self.table.ids[marked])
        here = at >= 0
        live[at[here]] = self.live[marked[here]]
        reached[at[here]] = self.reached[marked[here]]
        parts[at[here]] = self._parts[marked[here]]
        self.state, self.table = state, table
        self.live, self.reached, self._parts = live, reached, parts
        self._history = {}
        return True

    def _steadily(self, read: Callable[[], None]) -> None:
        """Do some reading, which keeps what it has done; again where files went since others wrote meanwhile."""
        while True:
            try:
                return read()
            except NotFoundError as error:
                if not self.follow():
                    raise DamagedError(f"a file is missing: {error.message}", "run: dsvc check") from error

    def _mark(self, ids: bytes, kind: Kind) -> Array:
        """Mark objects; the numbers of their rows. Those that are absent or of another kind are left out or refused."""
        import numpy as np

        wanted = np.unique(as_ids(ids))
        found = self.table.find(wanted)
        right = (
            (found >= 0) & (self.table.rows["kind"][np.maximum(found, 0)] == kind) if len(self.table) else found >= 0
        )
        if kind is not Kind.BLOB and not self._is_tolerant and not right.all():
            gone = ObjectId(wanted[~right].tobytes()[: ObjectId.SIZE])
            raise DamagedError(f"{kind.name.lower()} {gone} is missing", "run: dsvc check; nothing was changed")
        found = found[right]
        self.live[found] = True
        if not self._is_tolerant:
            self.reached[found] = True
        return found

    # ---- walking

    def _walk(self) -> None:
        while self._pending or self._named:
            named, self._named = self._named, []
            for ref in named:
                self._keep_ref(ref)
            if not self._pending:
                continue
            # The highest first, so that each level is one batch; roots of untold level before all.
            part, level = max(self._pending, key=lambda key: (key[1] == _UNTOLD, key[1], key[0]))
            ids = bytes(self._pending.pop((part, level)))
            if level == _VALUE:
                self._visit(ids, part, level, Kind.VALUE, self._value)
            elif level == 0 and part == PLAIN and not self._has_values():
                self._mark(ids, Kind.NODE)
            else:
                self._visit(ids, part, level, Kind.NODE, self._node)
        self._mark_blobs()

    def _has_values(self) -> bool:
        return bool((self.table.rows["kind"] == Kind.VALUE).any())

    def _visit(self, ids: bytes, part: int, level: int, kind: Kind, take: Callable[[int, int, bytes], None]) -> None:
        """Mark and read objects that were not read for this part yet."""

        def read() -> None:
            rows = self._mark(ids, kind)
            rows = rows[(self._parts[rows] & part) == 0]
            skip = (lambda row, error: None) if self._is_tolerant else None
            for row, id, data in read_objects(self._store.backend, self.table, rows, self._near, skip):
                try:
                    take(part, level, data)
                except DamagedError as error:
                    if not self._is_tolerant:
                        raise DamagedError(f"{kind.name.lower()} {id}: {error.message}", error.hint) from error
                    continue
                self._parts[row] |= part
                self._tell()

        self._steadily(read)

    def _node(self, part: int, level: int, data: bytes) -> None:
        inner = children_of(data)
        if inner is not None:
            if level not in (_UNTOLD, inner[0]) or inner[0] < 1:
                raise DamagedError("it is not what its parent says")
            self._pending[part, inner[0] - 1] += inner[1]
        elif level > 0:
            raise DamagedError("it is not what its parent says")
        elif part == VIEW:
            self._refs(data)
        else:
            values = find_values(data)
            if values:
                self._pending[part, _VALUE] += values
            if part != PLAIN:
                self._add_blobs(find_blobs(data))

    def _value(self, part: int, level: int, data: bytes) -> None:
        if part != PLAIN:
            self._add_blobs(find_blobs(data))

    def _refs(self, data: bytes) -> None:
        leaf = decode_node(data, ObjectId(bytes(ObjectId.SIZE)))
        assert isinstance(leaf, Leaf)
        for key, held in zip(leaf.keys, leaf.values, strict=True):
            if key not in self._without:
                if type(held) is not bytes:
                    self._mark(held.data[1:], Kind.VALUE)
                kind = key.partition(b"\0")[0].decode("utf-8", "replace")
                self._named.append(decode_ref(kind, load_value(self._store, held)))

    def _keep_ref(self, ref: AnyRef) -> None:
        self._keep_commits(commits_of(ref))
        if isinstance(ref, DraftRef):
            self._keep_snapshots([ref.snapshot])

    def _keep_commits(self, ids: Iterable[ObjectId]) -> None:
        queue = [id for id in ids if id not in self._commits]
        new: list[ObjectId] = []
        snapshots: list[ObjectId] = []
        while queue:
            id = queue.pop()
            if id in self._commits:
                continue
            try:
                before, snapshot = _links(self.get(id, Kind.COMMIT), id)
            except DamagedError:
                if not self._is_tolerant:
                    raise
                continue
            self._commits.add(id)
            new.append(id)
            snapshots.append(snapshot)
            queue += before
        self._mark(b"".join(new), Kind.COMMIT)
        self._keep_snapshots(snapshots)

    def _keep_snapshots(self, ids: Iterable[ObjectId]) -> None:
        for id in ids:
            if id in self._snapshots:
                continue
            try:
                roots = decode_roots(self.get(id, Kind.SNAPSHOT), id)
            except DamagedError:
                if not self._is_tolerant:
                    raise
                continue
            self._snapshots.add(id)
            self._mark(id, Kind.SNAPSHOT)
            self._pending[PLAIN, _UNTOLD] += roots.concepts + roots.annotations
            self._pending[INPUTS, _UNTOLD] += roots.inputs

    def get(self, id: ObjectId, kind: Kind) -> bytes:
        """A commit, a snapshot or an operation: all of a kind are read at once, since walks go from one to the next."""
        if kind not in self._history:
            self._steadily(lambda: self._load(kind))
        found = self._history[kind].get(id)
        if found is None:
            raise DamagedError(f"{kind.name.lower()} {id} is missing", "run: dsvc check; nothing was changed")
        if isinstance(found, DamagedError):
            raise found
        return found

    def _load(self, kind: Kind) -> None:
        import numpy as np

        held: dict[ObjectId, bytes | DamagedError] = {}
        rows = np.flatnonzero((self.table.rows["kind"] == kind) & self.table.is_first)

        def skip(row: int, error: DamagedError) -> None:
            held[self.table.id(row)] = error  # no matter, unless something reaches it

        for _, id, data in read_objects(self._store.backend, self.table, rows, self._near, skip):
            held[id] = data
        self._history[kind] = held

    # ---- blobs

    def _add_blobs(self, ids: bytes) -> None:
        self._blobs += ids
        if len(self._blobs) >= _FLUSH:
            self._mark_blobs()

    def _mark_blobs(self) -> None:
        """Mark the blobs that wait. One that is absent here is no matter: it may be at a remote, or purged."""
        while self._blobs:
            ids, self._blobs = bytes(self._blobs), bytearray()
            self._steadily(lambda ids=ids: self._mark_with_chunks(ids))  # type: ignore[misc]

    def _mark_with_chunks(self, ids: bytes) -> None:
        rows = self._mark(ids, Kind.BLOB)
        lists = rows[(self.table.rows["codec"][rows] == CHUNKED) & (self._parts[rows] == 0)]

        def skip(row: int, error: DamagedError) -> None:
            if not self._is_tolerant:
                raise error  # which chunks it has is unknown, and they must not go

        for row, _, data in read_objects(self._store.backend, self.table, lists, self._near, skip):
            self._blobs += b"".join(ChunkList.decode(data).ids())
            self._parts[row] = INPUTS

    def _tell(self) -> None:
        self._count += 1
        if self._progress is not None and self._count % _TOLD == 0:
            self._progress("read nodes", self._count, None)


def _present(store: ObjectStore) -> tuple[State, Table]:
    """The last state and its table. Raises DamagedError where a segment is missing."""
    while True:
        state = store.state
        try:
            return state, Table(state.catalog)
        except NotFoundError as error:
            store.refresh()
            if store.state is state:
                raise DamagedError(f"the index is incomplete: {error.message}", "run: dsvc check") from error


def _split(ids: bytes) -> list[ObjectId]:
    return [ObjectId(ids[at : at + ObjectId.SIZE]) for at in range(0, len(ids), ObjectId.SIZE)]


def _links(data: bytes, id: ObjectId) -> tuple[tuple[ObjectId, ...], ObjectId]:
    """The commits that a commit names, and its snapshot. Raises DamagedError."""
    fields = codec.unpack(data, f"commit {id.short()}")
    try:
        before = [*fields["parents"], *fields["sources"].values()]
        return tuple(ObjectId(parent) for parent in before), ObjectId(fields["snapshot"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DamagedError(f"commit {id.short()} is damaged") from error
