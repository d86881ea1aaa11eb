"""The writer: one transaction's objects, and the one place where the head is swapped."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, Self

from dsvc.errors import CollectedError, DamagedError, DsvcError, NotFoundError, RefusedError
from dsvc.store.cached import CachedBackend
from dsvc.store.catalog import Catalog, State
from dsvc.store.chunked import read_pieces
from dsvc.store.chunking import put_chunked, require_size
from dsvc.store.chunklist import ChunkList
from dsvc.store.clock import seconds
from dsvc.store.cutting import BIG
from dsvc.store.frame import CHUNKED, Entry, Packed, damaged, open_frame
from dsvc.store.head import CHUNKED_BLOBS, Head, HeadMovedError, RemovedError
from dsvc.store.ids import Kind, ObjectId, object_id
from dsvc.store.limits import require_allowed
from dsvc.store.manifest import manifest_name, write_manifest
from dsvc.store.merge import Merged, merge
from dsvc.store.pack import PackClass
from dsvc.store.resuming import Journal, adoptable
from dsvc.store.staging import Pending, Staged, Staging

if TYPE_CHECKING:
    from dsvc.store.objects import ObjectStore

_FRESH = 5  # seconds
_AGAIN = "Nothing was changed. Run the command again."


class ObjectWriter:
    """One transaction: objects are staged, then published with an operation, all or nothing.

    A context manager that drops what was staged unless it was published. For one thread at a time.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._backend = store.backend
        self._base = store.state
        self.began = seconds()
        self._checked = self._base.catalog.manifest
        self._collected = self._checked.collected.count
        self._staging = Staging(store.backend)
        self._assumed: set[ObjectId] = set()
        self._list_ids: dict[ObjectId, ObjectId] = {}
        self._attempted = False
        self._closed = False
        # The blobs that were given to this transaction, whether they were stored already or not.
        self.brought: set[ObjectId] = set()

    @property
    def base(self) -> Head | None:
        """The head that `publish` builds on; None for the first operation of a repository."""
        return self._base.head

    def put(self, kind: Kind, data: bytes, id: ObjectId | None = None, pack_class: PackClass | None = None) -> ObjectId:
        """Stage an object, unless it is staged or stored already. `id` is given when it was hashed before, and a
        class of packs where it is not the one of the kind.

        Raises RefusedError when there is no room, here or in a later call.
        """
        self._require_open()
        require_allowed(kind, len(data))
        if id is None:
            id = object_id(kind, data)
        if kind is Kind.BLOB:
            self.brought.add(id)
        if id not in self._staging.objects and not self._known(id) and not self._staging.adopt(id):
            if kind is Kind.BLOB and len(data) > BIG:
                return self.put_blob((data,), len(data))
            self._staging.put(id, kind, data if type(data) is bytes else bytes(data), pack_class)
        return id

    def put_packed(self, packed: Packed) -> None:
        """Stage an object of another store in the frame that it has there, which `has` said is not stored here."""
        self._require_open()
        if packed.entry.kind == Kind.BLOB:
            self.brought.add(packed.id)
        if packed.id not in self._staging.objects:
            self._staging.put_packed(packed)

    def put_run(self, run: memoryview, rows: list[tuple[ObjectId, Entry]]) -> None:
        """Stage objects of another store whose verified frames lie one after the other in `run`, at the offsets that
        `rows` say; `has` said of each that it is not stored here."""
        self._require_open()
        self.brought.update(id for id, entry in rows if entry.kind == Kind.BLOB)
        self._staging.put_run(run, rows)

    def offer_run(self, run: memoryview, rows: list[tuple[ObjectId, Entry]]) -> None:
        """Pack structure of another store as `put_run` does, of which only what `adopt` names is staged."""
        self._require_open()
        self._staging.offer_run(run, rows)

    def is_offered(self, id: ObjectId) -> bool:
        """Whether `adopt` would stage an object."""
        return id in self._staging.adoptable

    def withdraw(self) -> None:
        """Stage no more of what was offered, or packed by an earlier transaction."""
        self._staging.withdraw()

    @property
    def has_structure(self) -> bool:
        """Whether the repository has packs of structure."""
        return self._store.follow(lambda catalog: any(p.pack_class is PackClass.STRUCTURE for p in catalog.packs()))

    def resume(self, journal: Journal, purged: Collection[ObjectId] = ()) -> None:
        """Note packs as they are finished, and keep them where the transaction ends without being published; take up
        what an earlier one left so, but for packs that hold `purged` blobs. Before anything is put."""
        self._staging.journal = journal
        journal.collections = self._collected
        began = self.began
        for pack, noted, age in self._store.follow(lambda catalog: list(adoptable(journal, self._backend, catalog))):
            if any(id in purged for id, _ in noted.rows):
                continue  # it may be removed any moment
            self._staging.adoptable |= {id: Staged(pack, entry) for id, entry in noted.rows}
            self.began = min(self.began, began - age)

    def adopt(self, id: ObjectId, kind: Kind | None = None) -> bool:
        """Stage an object that an earlier transaction packed, if it did; `has` said that it is not here yet."""
        is_adopted = self._staging.adopt(id, kind)
        if is_adopted and _kind_of(self._staging.objects[id]) == Kind.BLOB:
            self.brought.add(id)
        return is_adopted

    def put_blob(self, pieces: Iterable[bytes | memoryview], size: int) -> ObjectId:
        """Stage a blob of `size` bytes that comes in pieces; a big one is never whole in memory.

        Raises RefusedError when the pieces disagree with `size`.
        """
        self._require_open()
        if size > BIG:
            id, self._list_ids[id] = put_chunked(self, self._staging, pieces, size)
            self.brought.add(id)
            return id
        data = bytearray()
        for piece in pieces:
            data += piece
            if len(data) > size:
                break
        require_size(size, size - len(data))
        return self.put(Kind.BLOB, bytes(data))

    def _known(self, id: ObjectId, kind: Kind | None = None) -> bool:
        if id in self._assumed and kind is None:
            return True
        if self._store.has(id, kind):
            self._assumed.add(id)
            return True
        return False

    @property
    def history(self) -> HistoryWriter:
        """Where the nodes of views are read and put: with history, not with the structure of datasets."""
        return HistoryWriter(self, self._store)

    @property
    def has_folded(self) -> bool:
        """Whether a try to publish has copied objects of older packs into this transaction's."""
        return bool(self._staging.folded)

    def has_lost(self, id: ObjectId) -> bool:
        """Whether this transaction's packs hold a copy of an object that was removed from the repository since."""
        return id in self._staging.folded and not self._store.has(id)

    def has(self, id: ObjectId, kind: Kind | None = None) -> bool:
        """Whether the object is staged or stored, and of a kind where one is given."""
        held = self._staging.objects.get(id)
        return kind in (None, _kind_of(held)) if held is not None else self._known(id, kind)

    def has_staged(self, id: ObjectId) -> bool:
        """Whether the object is staged here."""
        return id in self._staging.objects

    def staged(self, id: ObjectId) -> Packed | None:
        """An object that lies in one of this transaction's packs, verified; else None."""
        held = self._staging.objects.get(id)
        if not isinstance(held, Staged):
            return None
        frame = held.writer.read(held.entry.offset, held.entry.length)
        return Packed(id, held.entry, frame, open_frame(frame, id, held.entry, "this transaction"))

    def get(self, id: ObjectId, kind: Kind) -> bytes:
        """An object's bytes, staged or stored, verified. Raises DamagedError, also when it is missing."""
        held = self._staging.objects.get(id)
        if held is None:
            return self._stored(id, kind)
        if _kind_of(held) != kind:
            raise damaged(id, kind, "this transaction", "it is of another kind")
        if isinstance(held, Pending):
            return held.data
        data = self._staged_data(id, held)
        if held.entry.codec == CHUNKED:
            return b"".join(read_pieces(self._chunk, id, ChunkList.decode(data)))
        return data

    def _stored(self, id: ObjectId, kind: Kind) -> bytes:
        try:
            return self._store.get(id, kind)
        except CollectedError as error:
            if id not in self._assumed:
                raise
            self._assumed.discard(id)  # so that the next `put` stages it
            raise RemovedError(error.message, error.hint) from error

    def _staged_data(self, id: ObjectId, held: Staged) -> bytes:
        frame = held.writer.read(held.entry.offset, held.entry.length)
        return open_frame(frame, id, held.entry, "this transaction")

    def _chunk(self, id: ObjectId, most: int) -> bytes | None:
        return self.get(id, Kind.BLOB) if self.blob_size(id) <= most else None

    def blob_size(self, id: ObjectId) -> int:
        """The byte size of a staged or stored blob. Raises DamagedError when it is missing."""
        held = self._staging.objects.get(id)
        if held is None:
            return self._store.blob_size(id)
        return len(held.data) if isinstance(held, Pending) else held.entry.raw

    def chunk_list(self, id: ObjectId) -> ChunkList | None:
        """The list of a staged or stored blob's chunks, or None where it lies whole. Raises DamagedError."""
        held = self._staging.objects.get(id)
        if held is None:
            return self._store.chunk_list(id)
        if isinstance(held, Pending) or held.entry.codec != CHUNKED:
            return None
        return ChunkList.decode(self._staged_data(id, held))

    def list_id(self, id: ObjectId) -> ObjectId | None:
        """The id of the list of a blob's chunks, as `put_blob` cut it or as it lies here; None where it lies whole."""
        found = self._list_ids.get(id)
        if found is None and (chunks := self.chunk_list(id)) is not None:
            found = self._list_ids[id] = chunks.id
        return found

    def open_blob(self, id: ObjectId) -> Iterator[bytes]:
        """A staged or stored blob in pieces of a few MiB at most, verified at the end."""
        if id not in self._staging.objects:
            return self._store.open_blob(id)
        chunks = self.chunk_list(id)
        return iter((self.get(id, Kind.BLOB),)) if chunks is None else read_pieces(self._chunk, id, chunks)

    def publish(self, operation: ObjectId) -> Head:
        """Make the staged objects durable and `operation`, one of them, the head. Returns the new head.

        Raises HeadMovedError when another operation came first. The writer then builds on that one (`base`):
        put a new operation and publish again; what is packed already is listed then.
        """
        self._require_open()
        # In a distant place, a look is worth its time only where much can have happened since the last one.
        is_fresh = isinstance(self._backend, CachedBackend) and self._store.age() < _FRESH
        if not is_fresh and self._backend.read_head() != self._base.raw:
            self._lose_race()
        self._renew_packs()
        self._check_assumed(operation)
        merged = self._merge()
        before, self._attempted = self._attempted, True
        began = seconds()
        self._write_manifest(merged)
        old = self._base.head or Head(operation, merged.manifest.id)
        head = Head(operation, merged.manifest.id, old.must, old.may)
        if self._staging.has_lists:
            head = head.needing(CHUNKED_BLOBS)
        if not self._swap(head, began):
            self._discard(merged)
            self._attempted = before  # it was refused: no head lists the packs
            self._lose_race()
        self._conclude(head, merged)
        return head

    def _merge(self) -> Merged:
        try:
            return merge(self._backend, self._base.catalog, self._staging)
        except NotFoundError as error:
            if self._backend.read_head() != self._base.raw:
                self._lose_race()  # the winner removed what it merged, while we merged it too
            raise DamagedError(f"the index is incomplete: {error.message}", "Run `dsvc check`.") from error

    def _write_manifest(self, merged: Merged) -> None:
        try:
            if merged.written:
                write_manifest(self._backend, merged.manifest)
        except NotFoundError:  # a collection that spares nothing took the file that it was written to
            if self._backend.read_head() != self._base.raw:
                self._lose_race()
            raise

    def _check_assumed(self, operation: ObjectId) -> None:
        """Look again for what was found in an older catalog: a collection may have removed it since.

        Raises RemovedError, after which what is gone can be put again.
        """
        catalog = self._base.catalog
        if operation not in self._staging.objects:
            self._assumed.add(operation)
        elif catalog.manifest == self._checked:
            return
        gone = [id for id in self._assumed if not self._store.has(id)]
        if operation in gone:
            raise removed(operation, Kind.OPERATION)
        if gone:
            self._assumed.difference_update(gone)
            raise RemovedError(f"object {gone[0]} was removed from the repository while this command ran", _AGAIN)
        self._checked = catalog.manifest

    def _renew_packs(self) -> None:
        """Send finished packs again where a collection since may have taken them for left over."""
        collected = self._base.catalog.manifest.collected
        if seconds() - self.began <= collected.limit(self._collected):
            return
        began = seconds()
        try:
            self._staging.renew()
        except (NotFoundError, DamagedError) as error:
            message = "what this command wrote was collected as left over, since it took so long"
            raise CollectedError(message, _AGAIN) from error
        self._collected, self.began = collected.count, began

    def require(self, id: ObjectId, kind: Kind) -> None:
        """Raise CollectedError unless an object, which the caller has found some time ago, is staged or stored."""
        if not self.has(id, kind):
            raise removed(id, kind)

    def structure(self) -> Iterator[tuple[ObjectId, Kind]]:
        """The objects that are staged, but for blobs, each with its kind."""
        self._staging.drain()
        for id, held in list(self._staging.objects.items()):
            if _kind_of(held) != Kind.BLOB:
                yield id, Kind(_kind_of(held))

    def is_elsewhere(self, id: ObjectId) -> bool:
        """Whether a blob that is not here can be brought from elsewhere."""
        return self._store.elsewhere is not None and self._store.elsewhere.has(id)

    @property
    def is_overtaken(self) -> bool:
        """Whether there was a collection since the repository was opened, so that what was found may be gone."""
        return self._store.is_overtaken

    def _swap(self, head: Head, began: float) -> bool:
        try:
            if self._backend.swap_head(self._base.raw, head.encode()):
                return True
        except Exception:  # no answer is neither yes nor no
            if self._took_effect(head, began):
                return True
            raise
        return self._took_effect(head, began)

    def _took_effect(self, head: Head, began: float) -> bool:
        """Whether the head is ours, or was: our operation is listed only where our swap succeeded."""
        self._store.refresh()
        state = self._store.state
        if state.head == head:
            return True
        if head.operation not in self._staging.objects:
            return False
        if self._store.follow(lambda catalog: catalog.find(head.operation)) is not None:
            return True
        collected = state.catalog.manifest.collected
        if collected.count != self._base.catalog.manifest.collected.count and seconds() - began > collected.grace / 2:
            # Then a later operation may be there, and ours behind it collected.
            message = "it is not known whether this command took effect: the repository was collected meanwhile"
            raise RefusedError(message, "See whether it did, and run it again if not: dsvc log.")
        return False

    def _conclude(self, head: Head, merged: Merged) -> None:
        """Read from the new head, and remove what it made superfluous: never before the swap."""
        catalog = Catalog(self._backend, merged.manifest, self._base.catalog)
        self._store.adopt(State(head.encode(), head, catalog))
        self._closed = True
        self._staging.close(drop=False)
        self._staging.published()
        catalog.tidy()
        superseded = [*merged.superseded, *self._staging.dropped]
        if merged.written and self._base.head is not None:
            superseded.append(manifest_name(self._base.head.manifest))
        self._delete(superseded)

    def _discard(self, merged: Merged) -> None:
        """Remove the lists of a swap that was refused. Its packs are kept for the next try."""
        if merged.written:
            self._delete([*merged.written, manifest_name(merged.manifest.id)])

    def _delete(self, names: list[str]) -> None:
        with contextlib.suppress(DsvcError):  # only room is lost; gc finds it
            self._backend.delete_all(names)

    def _lose_race(self) -> NoReturn:
        self._store.refresh()
        self._base = self._store.state
        raise HeadMovedError("another operation was published first", "Run the command again: nothing was changed.")

    def turn(self) -> AbstractContextManager[None]:
        """Hold off other local writers, so that the next try after a lost race wins."""
        return self._backend.turn()

    def _require_open(self) -> None:
        if self._closed:
            raise RefusedError("this transaction is closed", "Begin a new one.")

    def close(self) -> None:
        """Drop what was staged, unless it was published."""
        if not self._closed:
            self._closed = True
            # After an attempt that went unanswered, a head somewhere may list the packs: leave them to gc.
            self._staging.close(drop=not self._attempted)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class HistoryWriter:
    """A writer whose objects go to history packs, whatever their kind."""

    def __init__(self, writer: ObjectWriter, store: ObjectStore) -> None:
        self._writer = writer
        self._store = store

    def get(self, id: ObjectId, kind: Kind) -> bytes:
        """An object's bytes, staged or stored, verified. Raises DamagedError, also when it is missing."""
        if self._writer.has_staged(id):
            return self._writer.get(id, kind)
        return self._store.get_history(id, kind)

    def put(self, kind: Kind, data: bytes) -> ObjectId:
        """Stage an object, unless it is staged or stored already."""
        return self._writer.put(kind, data, pack_class=PackClass.HISTORY)


def _kind_of(held: Pending | Staged) -> int:
    return held.kind if isinstance(held, Pending) else held.entry.kind


def removed(id: ObjectId, kind: Kind) -> CollectedError:
    """The error for an object that a collection took meanwhile."""
    return CollectedError(f"{kind.name.lower()} {id} was removed from the repository while this command ran", _AGAIN)
