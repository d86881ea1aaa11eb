"""The object store: objects by id, read and verified, and written in transactions."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Self, TypeVar

from blake3 import blake3

from dsvc.errors import DamagedError, DsvcError, NotFoundError, NotRepositoryError, RefusedError
from dsvc.store.arrivals import WHOLE, Arrivals
from dsvc.store.backend import Backend
from dsvc.store.cached import CachedBackend
from dsvc.store.catalog import Catalog, Location, State
from dsvc.store.chunked import cut_range, read_pieces, read_range
from dsvc.store.chunklist import ChunkList
from dsvc.store.elsewhere import Elsewhere
from dsvc.store.frame import CHUNKED, FRAME_HEAD, RAW, Entry, Packed, damaged, open_frame
from dsvc.store.head import Head
from dsvc.store.ids import Kind, ObjectId
from dsvc.store.keeper import Keeper
from dsvc.store.manifest import Manifest, read_manifest
from dsvc.store.pack import HISTORY_KINDS, PIECE, read_frame, stream_payload
from dsvc.store.writer import ObjectWriter, removed

T = TypeVar("T")
Place = tuple[str, int, int]  # of bytes: a file's name, where in it they begin, how many there are
_LISTED = 1 << 20  # chunks whose lists are kept in memory
_NEW = 1  # seconds
_DAMAGE_HINT = "see all that is damaged: dsvc check; mend it: dsvc check --repair"


class ObjectStore:
    """The objects of a repository. Reading takes no lock; may be used from several threads."""

    def __init__(self, backend: Backend) -> None:
        """Nothing is read before it is needed."""
        self.backend = backend
        self.patience = 0.0  # seconds that the head may be old where only reading is done
        self._read_at, self._is_new = 0.0, False
        self._state: State | None = None
        self._collections: int | None = None  # how many there were when this was opened
        self._lists: dict[ObjectId, ChunkList] = {}
        self._arrivals: Arrivals | None = None
        self._stored = 0  # as of the last look at the head for what came
        # Gives the error for a blob that is not here on purpose; None for all others.
        self.explain: Callable[[ObjectId], DsvcError | None] = lambda id: None
        # Asked before blobs from elsewhere are published; raises a DsvcError where they may not be. It holds no store.
        self.guard: Callable[[ObjectWriter], None] = lambda writer: None

    @classmethod
    def create(cls, backend: Backend) -> Self:
        """A store for a new repository, which exists once a writer published its first operation.

        Raises RefusedError when there is one already.
        """
        if backend.read_head() is not None:
            raise RefusedError("there is a repository here already", "Use it, or choose another folder.")
        return cls(backend)

    @property
    def state(self) -> State:
        """The head and catalog that reads use at present."""
        return self._state or self._load()

    @property
    def head(self) -> Head:
        """The head as of the last load. Raises NotRepositoryError where none was published yet."""
        head = self.state.head
        if head is None:
            raise NotRepositoryError("there is no repository here", "Create one with `dsvc init`.")
        return head

    @property
    def is_overtaken(self) -> bool:
        """Whether there was a collection since this was opened: what was found before may be gone."""
        return self.state.catalog.manifest.collected.count != self._collections

    @property
    def is_distant(self) -> bool:
        """Whether a request to its place takes long."""
        return isinstance(self.backend, CachedBackend)

    def refresh(self) -> None:
        """Load the head again, unless that is less than `patience` seconds ago; the first time after `preload`, less
        than one."""
        patience = max(self.patience, _NEW if self._is_new else 0)
        self._is_new = False
        if self._state is None or self.age() >= patience:
            self._load()

    def preload(self) -> None:
        """Load the head, once for whoever uses the store first."""
        self._load()
        self._is_new = True

    def age(self) -> float:
        """How many seconds ago the head was read."""
        return time.monotonic() - self._read_at

    def adopt(self, state: State) -> None:
        """Read from `state` from now on: a writer published it."""
        self._state = state
        self._lists.clear()

    def _load(self) -> State:
        known = self._state
        while True:
            raw = self.backend.read_head()
            self._read_at, self._is_new = time.monotonic(), False
            if known is not None and known.raw == raw:
                return known
            head = None if raw is None else Head.decode(raw)
            try:
                manifest = Manifest() if head is None else read_manifest(self.backend, head.manifest)
            except NotFoundError as error:
                if self.backend.read_head() == raw:
                    raise DamagedError(f"the manifest is missing: {error.message}", _DAMAGE_HINT) from error
                continue  # another operation was published meanwhile, and this manifest removed
            except DamagedError:
                self._distrust()
                raise
            self._state = State(raw, head, Catalog(self.backend, manifest, known.catalog if known else None))
            if self._collections is None:
                self._collections = manifest.collected.count
            return self._state

    def follow(self, read: Callable[[Catalog], T]) -> T:
        """Call `read`; again with a new catalog when something is missing and the head moved meanwhile.

        Merging removes files that a newer head does not list. Raises NotFoundError when it is truly missing.
        """
        while True:
            state = self.state
            try:
                return read(state.catalog)
            except NotFoundError:
                if self._load() is state:
                    raise
            except DamagedError:
                self._distrust()
                raise

    def _distrust(self) -> None:
        """Keep no copies of a distant place where something is damaged: once it is mended there, it is read anew."""
        if isinstance(self.backend, CachedBackend):
            self.backend.forget()
            self._state = None

    def get(self, id: ObjectId, kind: Kind) -> bytes:
        """An object's bytes, verified against its id; a blob's may come from elsewhere.

        Raises DamagedError, also when it is missing, and RemoteError where a blob's place is out of reach.
        """
        packed = self.get_packed(id, kind)
        assert packed is not None  # whatever its size
        if packed.entry.codec == CHUNKED:
            return b"".join(self._pieces(id, ChunkList.decode(packed.data)))
        return packed.data

    def plain_place(self, id: ObjectId) -> Place | None:
        """Where a blob lies here as it is, in one piece; None where it lies otherwise or not here."""
        try:
            found = self.state.catalog.find(id)
        except (NotFoundError, DamagedError):
            return None
        if found is None or found.entry.codec != RAW or found.entry.kind != Kind.BLOB:
            return None
        return found.pack.name, found.entry.offset + FRAME_HEAD.size, found.entry.raw

    def read_plain(self, id: ObjectId, place: Place) -> bytes | None:
        """A blob from the place where it lay as it is, verified against its id; None where it is not there any more, or
        not sound: `get` tells. It is the quickest way to read many of some ten or hundred kB.
        """
        try:
            data = self.backend.read(*place)
        except NotFoundError:
            return None
        return data if blake3(data).digest() == id else None

    @property
    def history(self) -> HistoryReader:
        """Where the nodes of views are read, which lie with history."""
        return HistoryReader(self)

    def get_history(self, id: ObjectId, kind: Kind) -> bytes:
        """Like `get`, for an object that lies with history."""
        try:
            return self.follow(lambda catalog: self._read(catalog, id, kind, is_history=True))
        except NotFoundError as error:
            raise self._absence(id, kind, error) from error

    def _read(self, catalog: Catalog, id: ObjectId, kind: Kind, is_history: bool = False) -> bytes:
        pack, entry = _locate(catalog, id, kind, is_history)
        frame = read_frame(self.backend, pack, id, entry)
        return open_frame(frame, id, entry, f"pack {pack.id.short()}")

    def get_packed(self, id: ObjectId, kind: Kind, most: int | None = None) -> Packed | None:
        """An object with the frame that it lies in, verified like `get`: what another store can take as it is.

        None, unread, where the object has more bytes than `most`. Of a blob that lies in chunks, frame and data are
        those of its list: what is verified is its form, and the chunks are objects of their own.
        """

        def read(catalog: Catalog) -> Packed | None:
            pack, entry = _locate(catalog, id, kind)
            if most is not None and entry.raw > most:
                return None
            frame = read_frame(self.backend, pack, id, entry)
            return Packed(id, entry, frame, open_frame(frame, id, entry, f"pack {pack.id.short()}"))

        if kind is Kind.BLOB and self._arrivals is not None and (packed := self._arrivals.ahead(id)) is not None:
            return packed if most is None or packed.entry.raw <= most else None
        try:
            return self.follow(read)
        except NotFoundError as error:
            return self._arrived(id, kind, most, error)

    def has(self, id: ObjectId, kind: Kind | None = None) -> bool:
        """Whether the object is listed, and of a kind where one is given."""
        try:
            found = self.follow(lambda catalog: catalog.find(id, kind in HISTORY_KINDS))
            return found is not None and kind in (None, found.entry.kind)
        except NotFoundError as error:
            raise DamagedError(f"the index is incomplete: {error.message}", _DAMAGE_HINT) from error

    def blob_size(self, id: ObjectId) -> int:
        """A blob's byte size, without reading it. Raises DamagedError when it is missing."""
        return self._blob(id).raw

    def _blob(self, id: ObjectId) -> Entry:
        if self._arrivals is not None and (packed := self._arrivals.ahead(id)) is not None:
            return packed.entry
        try:
            return self.follow(lambda catalog: _locate(catalog, id, Kind.BLOB)).entry
        except NotFoundError as error:
            is_sought = self._arrivals is not None and self.explain(id) is None
            entry = self._arrivals.elsewhere.entry(id) if self._arrivals is not None and is_sought else None
            if entry is None:
                raise self._absence(id, Kind.BLOB, error) from error
            return entry

    def _chunk(self, id: ObjectId, most: int) -> bytes | None:
        packed = self.get_packed(id, Kind.BLOB, most)
        return None if packed is None else packed.data

    def chunk_list(self, id: ObjectId) -> ChunkList | None:
        """The list of a blob's chunks, or None where it lies whole. Raises DamagedError, also when it is missing."""
        known = self._lists.get(id)
        if known is None and self._blob(id).codec == CHUNKED:
            packed = self.get_packed(id, Kind.BLOB)
            assert packed is not None  # whatever its size
            known = ChunkList.decode(packed.data)
            if sum(map(len, list(self._lists.values()))) + len(known) > _LISTED:
                self._lists.clear()
            self._lists[id] = known
        return known

    def chunks(self, id: ObjectId) -> tuple[ObjectId, ...]:
        """The chunks of a stored blob, each once; none where it lies whole. Raises DamagedError."""
        found = self.chunk_list(id)
        return tuple(dict.fromkeys(found.ids())) if found is not None else ()

    def read_blob(self, id: ObjectId, start: int, length: int) -> bytes:
        """The bytes of a blob from `start`, `length` of them or as many as there are, verified.

        Of a blob in chunks, those that cover the range are read, and no others. Raises DamagedError.
        """
        if start < 0 or length < 0:
            raise ValueError("a range begins at 0 or later, and has no negative length")
        chunks = self.chunk_list(id)
        if chunks is not None:
            return read_range(self._chunk, id, chunks, start, length, self.prefetch)
        return cut_range(self.open_blob(id), start, length)

    def open_blob(self, id: ObjectId) -> Iterator[bytes]:
        """A blob in pieces of a few MiB at most; raises DamagedError, at the end, if the whole was not right."""
        size = self.blob_size(id)
        if size <= PIECE:
            return iter((self.get(id, Kind.BLOB),))
        chunks = self.chunk_list(id)
        if chunks is not None:
            return self._pieces(id, chunks)
        if self._arrivals is not None and not self._arrivals.is_here(id):
            if size <= WHOLE:
                return iter((self.get(id, Kind.BLOB),))
            if (pieces := self._arrivals.pieces(id, size)) is not None:
                return pieces
        return stream_payload(lambda at, length: self._piece(id, at, length), size, id, "the repository")

    def _pieces(self, id: ObjectId, chunks: ChunkList) -> Iterator[bytes]:
        yield from read_pieces(self._chunk, id, chunks, self.prefetch)
        if self._arrivals is not None and not self._arrivals.is_here(id):
            packed = self.get_packed(id, Kind.BLOB)
            assert packed is not None  # whatever its size
            self._arrivals.keep(packed)

    def _piece(self, id: ObjectId, at: int, length: int) -> bytes:
        def read(catalog: Catalog) -> bytes:
            pack, entry = _locate(catalog, id, Kind.BLOB)
            if entry.codec != RAW:
                return self._read(catalog, id, Kind.BLOB)[at:]
            start = entry.offset + FRAME_HEAD.size + at
            return self.backend.read(pack.name, start, min(length, entry.raw - at))

        try:
            return self.follow(read)
        except NotFoundError as error:
            raise self._absence(id, Kind.BLOB, error) from error

    # ---- what is not here

    @property
    def elsewhere(self) -> Elsewhere | None:
        """Where blobs come from that are not here, or None."""
        return self._arrivals.elsewhere if self._arrivals is not None else None

    @elsewhere.setter
    def elsewhere(self, elsewhere: Elsewhere) -> None:
        own = weakref.ref(self)
        self._arrivals = Arrivals(
            elsewhere, Keeper(self.backend, self.guard), lambda id: (me := own()) is None or me.has_media(id)
        )
        # What came is kept also where nobody says that the work is done.
        weakref.finalize(self, self._arrivals.close)

    def read_ahead(self, elsewhere: Elsewhere) -> None:
        """Bring what is announced through `elsewhere`, which reads this same store: it is far away. Nothing is kept."""
        self._arrivals = Arrivals(elsewhere, None, lambda id: False)

    def has_media(self, id: ObjectId) -> bool:
        """Whether a blob is here, so that no remote is asked for it."""
        if self.has(id, Kind.BLOB):
            return True
        if self._arrivals is None or self._arrivals.stored == self._stored:
            return False
        self._stored = self._arrivals.stored
        self.refresh()
        return self.has(id, Kind.BLOB)

    def prefetch(self, ids: Sequence[ObjectId]) -> None:
        """Say which blobs are read next, in order: what is not here then comes in few requests.

        Costs next to nothing where all is here. Some hundred blobs, or some tens of MiB, are a good window.
        """
        if self._arrivals is not None and ids:
            self._arrivals.announce(ids)

    def close(self) -> None:
        """Store what came from elsewhere. The store may be used on."""
        if self._arrivals is not None:
            self._arrivals.close()

    @property
    def not_kept(self) -> Exception | None:
        """Why what comes from elsewhere is not stored here, if it is not."""
        return self._arrivals.not_kept if self._arrivals is not None else None

    def _arrived(self, id: ObjectId, kind: Kind, most: int | None, error: NotFoundError) -> Packed | None:
        """A blob from elsewhere; raises the error for what is missing where that is no blob, or nobody has it."""
        if kind is Kind.BLOB and self._arrivals is not None and self.explain(id) is None:
            if most is not None and self._blob(id).raw > most:
                return None
            if (packed := self._arrivals.take(id)) is not None:
                return packed
        raise self._absence(id, kind, error) from error

    def _absence(self, id: ObjectId, kind: Kind, error: NotFoundError) -> DsvcError:
        """The error for what is missing."""
        known = self.explain(id) if kind is Kind.BLOB else None
        if known is None and kind is Kind.BLOB and self._arrivals is not None:
            known = self._arrivals.elsewhere.explain(id)
        if known is None and self.is_overtaken:
            return removed(id, kind)
        return known or DamagedError(f"{kind.name.lower()} {id} is missing: {error.message}", _DAMAGE_HINT)

    # ----

    def writer(self) -> ObjectWriter:
        """Begin a transaction on the head as it is now known; see `refresh`."""
        return ObjectWriter(self)


class HistoryReader:
    """A store of which history alone is read."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def get(self, id: ObjectId, kind: Kind) -> bytes:
        """An object's bytes, verified against its id. Raises DamagedError, also when it is missing."""
        return self._store.get_history(id, kind)


def _locate(catalog: Catalog, id: ObjectId, kind: Kind, is_history: bool = False) -> Location:
    found = catalog.find(id, is_history or kind in HISTORY_KINDS)
    if found is None:
        raise NotFoundError("no index lists it")
    if found.entry.kind != kind:
        raise damaged(id, kind, f"pack {found.pack.id.short()}", "it is of another kind")
    return found
