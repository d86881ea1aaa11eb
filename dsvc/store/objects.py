"""The object store: objects by id, read and verified, and written in transactions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Self, TypeVar

from dsvc.errors import DamagedError, NotFoundError, NotRepositoryError, RefusedError
from dsvc.store.backend import Backend
from dsvc.store.catalog import Catalog, Location, State
from dsvc.store.chunked import cut_range, read_pieces, read_range
from dsvc.store.chunklist import ChunkList
from dsvc.store.frame import CHUNKED, FRAME_HEAD, RAW, Entry, Packed, damaged, open_frame
from dsvc.store.head import Head
from dsvc.store.ids import Kind, ObjectId
from dsvc.store.manifest import Manifest, read_manifest
from dsvc.store.pack import PIECE, read_frame, stream_payload
from dsvc.store.writer import ObjectWriter

T = TypeVar("T")
_LISTED = 1 << 20  # chunks whose lists are kept in memory
_DAMAGE_HINT = "Run `dsvc check` for the whole extent, and fetch what is missing from a remote or a backup."


class ObjectStore:
    """The objects of a repository. Reading takes no lock; may be used from several threads."""

    def __init__(self, backend: Backend) -> None:
        """Nothing is read before it is needed."""
        self.backend = backend
        self._state: State | None = None
        self._lists: dict[ObjectId, ChunkList] = {}

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

    def refresh(self) -> None:
        """Load the head again."""
        self._load()

    def adopt(self, state: State) -> None:
        """Read from `state` from now on: a writer published it."""
        self._state = state
        self._lists.clear()

    def _load(self) -> State:
        known = self._state
        while True:
            raw = self.backend.read_head()
            if known is not None and known.raw == raw:
                return known
            head = None if raw is None else Head.decode(raw)
            try:
                manifest = Manifest() if head is None else read_manifest(self.backend, head.manifest)
            except NotFoundError as error:
                if self.backend.read_head() == raw:
                    raise DamagedError(f"the manifest is missing: {error.message}", _DAMAGE_HINT) from error
                continue  # another operation was published meanwhile, and this manifest removed
            self._state = State(raw, head, Catalog(self.backend, manifest, known.catalog if known else None))
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

    def get(self, id: ObjectId, kind: Kind) -> bytes:
        """An object's bytes, verified against its id. Raises DamagedError, also when it is missing."""
        packed = self.get_packed(id, kind)
        assert packed is not None  # whatever its size
        if packed.entry.codec == CHUNKED:
            return b"".join(read_pieces(self._chunk, id, ChunkList.decode(packed.data)))
        return packed.data

    def _read(self, catalog: Catalog, id: ObjectId, kind: Kind) -> bytes:
        pack, entry = _locate(catalog, id, kind)
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

        try:
            return self.follow(read)
        except NotFoundError as error:
            raise _missing(id, kind, error) from error

    def has(self, id: ObjectId, kind: Kind | None = None) -> bool:
        """Whether the object is listed, and of a kind where one is given."""
        try:
            found = self.follow(lambda catalog: catalog.find(id))
            return found is not None and kind in (None, found.entry.kind)
        except NotFoundError as error:
            raise DamagedError(f"the index is incomplete: {error.message}", _DAMAGE_HINT) from error

    def blob_size(self, id: ObjectId) -> int:
        """A blob's byte size, without reading it. Raises DamagedError when it is missing."""
        return self._blob(id).raw

    def _blob(self, id: ObjectId) -> Entry:
        try:
            return self.follow(lambda catalog: _locate(catalog, id, Kind.BLOB)).entry
        except NotFoundError as error:
            raise _missing(id, Kind.BLOB, error) from error

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
            return read_range(self._chunk, id, chunks, start, length)
        return cut_range(self.open_blob(id), start, length)

    def open_blob(self, id: ObjectId) -> Iterator[bytes]:
        """A blob in pieces of a few MiB at most; raises DamagedError, at the end, if the whole was not right."""
        size = self.blob_size(id)
        if size <= PIECE:
            return iter((self.get(id, Kind.BLOB),))
        chunks = self.chunk_list(id)
        if chunks is not None:
            return read_pieces(self._chunk, id, chunks)
        return stream_payload(lambda at, length: self._piece(id, at, length), size, id, "the repository")

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
            raise _missing(id, Kind.BLOB, error) from error

    def writer(self) -> ObjectWriter:
        """Begin a transaction on the head as it is now known; see `refresh`."""
        return ObjectWriter(self)


def _locate(catalog: Catalog, id: ObjectId, kind: Kind) -> Location:
    found = catalog.find(id)
    if found is None:
        raise NotFoundError("no index lists it")
    if found.entry.kind != kind:
        raise damaged(id, kind, f"pack {found.pack.id.short()}", "it is of another kind")
    return found


def _missing(id: ObjectId, kind: Kind, error: NotFoundError) -> DamagedError:
    return DamagedError(f"{kind.name.lower()} {id} is missing: {error.message}", _DAMAGE_HINT)
