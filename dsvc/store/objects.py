"""The object store: objects by id, read and verified, and written in transactions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Self, TypeVar

from dsvc.errors import DamagedError, NotFoundError, NotRepositoryError, RefusedError
from dsvc.store.backend import Backend
from dsvc.store.catalog import Catalog, Location, State
from dsvc.store.frame import FRAME_HEAD, RAW, Packed, damaged, open_frame
from dsvc.store.head import Head
from dsvc.store.ids import Kind, ObjectId
from dsvc.store.manifest import Manifest, read_manifest
from dsvc.store.pack import PIECE, read_frame, stream_payload
from dsvc.store.writer import ObjectWriter

T = TypeVar("T")
_DAMAGE_HINT = "Run `dsvc check` for the whole extent, and fetch what is missing from a remote or a backup."


class ObjectStore:
    """The objects of a repository. Reading takes no lock; may be used from several threads."""

    def __init__(self, backend: Backend) -> None:
        """Nothing is read before it is needed."""
        self.backend = backend
        self._state: State | None = None
        self._collections: int | None = None  # how many there were when this was opened

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

    def refresh(self) -> None:
        """Load the head again."""
        self._load()

    def adopt(self, state: State) -> None:
        """Read from `state` from now on: a writer published it."""
        self._state = state

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

    def get(self, id: ObjectId, kind: Kind) -> bytes:
        """An object's bytes, verified against its id. Raises DamagedError, also when it is missing."""
        try:
            return self.follow(lambda catalog: self._read(catalog, id, kind))
        except NotFoundError as error:
            raise _missing(id, kind, error) from error

    def _read(self, catalog: Catalog, id: ObjectId, kind: Kind) -> bytes:
        pack, entry = _locate(catalog, id, kind)
        frame = read_frame(self.backend, pack, id, entry)
        return open_frame(frame, id, entry, f"pack {pack.id.short()}")

    def get_packed(self, id: ObjectId, kind: Kind, most: int | None = None) -> Packed | None:
        """An object with the frame that it lies in, verified like `get`: what another store can take as it is.

        None, unread, where the object has more bytes than `most`.
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
        try:
            return self.follow(lambda catalog: _locate(catalog, id, Kind.BLOB)).entry.raw
        except NotFoundError as error:
            raise _missing(id, Kind.BLOB, error) from error

    def open_blob(self, id: ObjectId) -> Iterator[bytes]:
        """A blob in pieces of about 1 MiB; raises DamagedError, at the end, if the whole was not right."""
        size = self.blob_size(id)
        if size <= PIECE:
            return iter((self.get(id, Kind.BLOB),))
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
