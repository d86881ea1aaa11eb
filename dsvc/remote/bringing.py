"""Bringing blobs from remotes: ranges of their packs, several requests at once. Each is verified before it is used."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple, Self

from dsvc.errors import DamagedError, NotFoundError, RemoteError
from dsvc.remote.guarded import blaming
from dsvc.remote.opening import open_remote
from dsvc.remote.ranges import MOST, Range, plan_ranges
from dsvc.store.arrivals import WHOLE
from dsvc.store.frame import FRAME_HEAD, MAX_COMPRESSED, RAW, ZSTD, Packed, damaged, open_frame
from dsvc.store.ids import Kind, ObjectId
from dsvc.store.pack import read_frame, stream_payload

if TYPE_CHECKING:
    from dsvc.core.repository import Repository
    from dsvc.model.view import View
    from dsvc.remote.settings import Remote
    from dsvc.store.backend import Backend
    from dsvc.store.catalog import Catalog, Location
    from dsvc.store.objects import ObjectStore

_THREADS = 6
_AHEAD = _THREADS * MOST  # bytes that are under way, or wait to be taken
_DAMAGE_HINT = "run dsvc check there, and push what is missing from a clone that is whole"


class Broken(NamedTuple):
    """A blob that a store lists and cannot give."""

    id: ObjectId
    error: DamagedError


class Place:
    """One remote, opened when it is first asked. May be used from several threads."""

    def __init__(self, repository: Repository, remote: Remote) -> None:
        self._begin(remote.name)
        self._remote = remote
        self._for = weakref.ref(repository)  # whose store refers to this

    def _begin(self, name: str) -> None:
        self.name = name
        self._lock = threading.Lock()
        self._opened: Repository | None = None
        self._failed: RemoteError | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._traffic = _Traffic()

    @classmethod
    def of(cls, repository: Repository, name: str) -> Self:
        """A place that is open already."""
        place = cls.__new__(cls)
        place._begin(name)
        place._opened = repository
        return place

    @property
    def repository(self) -> Repository:
        """The remote as a repository. Raises RemoteError; one that was out of reach once is not tried again."""
        with self._lock:
            if self._failed is not None:
                raise self._failed
            if self._opened is None:
                try:
                    self._opened = self._open()
                except RemoteError as error:
                    self._failed = error
                    raise
            return self._opened

    def _open(self) -> Repository:
        repository = self._for()
        if repository is None:
            raise RemoteError(f"remote {self.name}: the repository that it belongs to is closed", "open it again")
        return open_remote(repository, self._remote, dry_run=True)

    @property
    def view(self) -> View:
        """Its refs. Raises RemoteError."""
        with blaming(self.name):
            return self.repository.view

    @property
    def store(self) -> ObjectStore:
        """Its objects."""
        return self.repository.store

    def refresh(self) -> bool:
        """Look at its head again; whether it has moved."""
        with blaming(self.name):
            before = self.store.state
            self.store.refresh()
            return self.store.state is not before

    def find(self, id: ObjectId) -> Location | None:
        """Where a blob lies, or None. Raises RemoteError."""
        with blaming(self.name):
            return self.store.follow(lambda catalog: _find(catalog, id))

    def find_all(self, ids: Sequence[ObjectId]) -> dict[ObjectId, Location]:
        """Where blobs lie: those that it has. Raises RemoteError."""

        def look(catalog: Catalog) -> dict[ObjectId, Location]:
            catalog.load(ids)
            return {id: found for id in ids if (found := _find(catalog, id)) is not None}

        with blaming(self.name):
            return self.store.follow(look)

    def bring(self, located: Mapping[ObjectId, Location]) -> Iterator[Packed | Broken]:
        """Blobs, in about the order of `located`; the first requests go out now.

        Raises NotFoundError where a pack is gone, so that they have to be found again; RemoteError.
        """
        if self._pool is None:
            self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="dsvc-fetch")
        return _Stream(self.store.backend, self._pool, self._traffic, plan_ranges(located.items())).blobs()

    def pieces(self, id: ObjectId) -> Iterator[bytes]:
        """A big blob that lies in one piece, bit by bit, verified at the end. Raises RemoteError."""
        try:
            with blaming(self.name):
                yield from self._pieces(id)
        except NotFoundError as error:
            raise RemoteError(f"remote {self.name}: blob {id.short()} is gone", "run the command again") from error

    def _pieces(self, id: ObjectId) -> Iterator[bytes]:
        found = self.find(id)
        if found is None:
            raise NotFoundError("no index lists it")
        (pack, entry), backend = found, self.store.backend
        start, where = entry.offset + FRAME_HEAD.size, f"pack {pack.id.short()}"

        def read(at: int, length: int) -> bytes:
            return backend.read(pack.name, start + at, length)

        if entry.codec == RAW and entry.stored == entry.raw:
            yield from stream_payload(read, entry.raw, id, where, MOST)
            return
        if entry.stored > MAX_COMPRESSED:
            raise damaged(id, entry.kind, where, "its lengths or its codec make no sense")
        yield open_frame(read_frame(backend, pack, id, entry), id, entry, where)

    def told(self, error: DamagedError | NotFoundError) -> RemoteError:
        """What is wrong there, as an error that names the remote."""
        return RemoteError(f"remote {self.name}: {error.message}", _DAMAGE_HINT)


def _find(catalog: Catalog, id: ObjectId) -> Location | None:
    found = catalog.find(id)
    if found is None or found.entry.kind != Kind.BLOB:
        return None
    # What a pack cannot hold is nowhere, so that nothing of that size is asked for.
    return found if found.entry.offset + found.entry.length <= found.pack.size else None


class _Traffic:
    """How many bytes of one place are under way, or wait to be taken."""

    def __init__(self) -> None:
        self.bytes = 0

    def add(self, size: int) -> bool:
        """Whether so many more may be under way; they are then."""
        if self.bytes and self.bytes + size > _AHEAD:
            return False
        self.bytes += size
        return True


class _Stream:
    """Blobs on their way from one place: some requests are under way, and one answer is unpacked at a time."""

    def __init__(self, backend: Backend, pool: ThreadPoolExecutor, traffic: _Traffic, ranges: list[Range]) -> None:
        self._backend = backend
        self._pool = pool
        self._traffic = traffic
        self._ranges = deque(ranges)
        self._sent: deque[tuple[Range, Future[bytes]]] = deque()
        self._send()

    def _send(self) -> None:
        while self._ranges and self._traffic.add(self._ranges[0].size):
            self._go()

    def _go(self) -> None:
        one = self._ranges.popleft()
        self._sent.append((one, self._pool.submit(self._backend.read, one.pack.name, one.start, one.size)))

    def blobs(self) -> Iterator[Packed | Broken]:
        """All of them."""
        while self._sent or self._ranges:
            if not self._sent:  # others have all that may be under way, but somebody waits for this
                self._traffic.bytes += self._ranges[0].size
                self._go()
            one, future = self._sent[0]
            data = future.result()
            self._sent.popleft()
            self._traffic.bytes -= one.size
            self._send()
            yield from _unpack(one, data)

    def __del__(self) -> None:
        for one, future in self._sent:  # nobody waits for these any more
            future.cancel()
            self._traffic.bytes -= one.size


def _unpack(one: Range, data: bytes) -> Iterator[Packed | Broken]:
    where, view = f"pack {one.pack.id.short()}", memoryview(data)
    for id, entry in one.frames:
        try:
            if entry.codec == ZSTD and entry.raw > MAX_COMPRESSED:
                raise damaged(id, entry.kind, where, "its lengths make no sense")
            frame = bytes(view[entry.offset - one.start :][: entry.length])
            yield Packed(id, entry, frame, open_frame(frame, id, entry, where))
        except DamagedError as error:
            yield Broken(id, error)


class Trip:
    """Bringing some blobs, each from the first place that can give it."""

    def __init__(self, places: Sequence[Place], ids: Sequence[ObjectId]) -> None:
        self._places = places
        self._left = dict.fromkeys(ids)
        self._refused: set[tuple[Place, ObjectId]] = set()
        self._out: set[Place] = set()
        self._fresh: set[Place] = set()
        self._failed: RemoteError | None = None
        self._failed_for: dict[ObjectId, RemoteError] = {}
        self._streams: list[tuple[Place, list[ObjectId], Iterator[Packed | Broken]]] = []

    def begin(self) -> None:
        """Find where the blobs lie, and send the first requests."""
        wanted = list(self._left)
        for place in self._places:
            asked = [id for id in wanted if place not in self._out and (place, id) not in self._refused]
            if not asked:
                continue
            try:
                located = self._find(place, asked)
                self._streams.append((place, list(located), place.bring(located)))
            except RemoteError as error:
                self._give_up(place, error)
                continue
            wanted = [id for id in wanted if id in self._left and id not in located]

    def _find(self, place: Place, asked: list[ObjectId]) -> dict[ObjectId, Location]:
        """Where blobs lie that come whole."""
        located = place.find_all(asked)
        if len(located) < len(asked) and place not in self._fresh:
            self._fresh.add(place)
            located = place.find_all(asked) if place.refresh() else located
        self._refused |= {(place, id) for id in asked if id not in located}
        # A bigger one comes piece by piece, when it is read.
        for id in [id for id, found in located.items() if found.entry.stored > WHOLE and len(asked) > 1]:
            del located[id], self._left[id]
        return located

    def blobs(self) -> Iterator[Packed]:
        """The blobs. Raises RemoteError, after all others, where one was not to be had because of it."""
        while self._streams:
            streams, self._streams = self._streams, []
            for place, ids, stream in streams:
                yield from self._drain(place, ids, stream)
            if self._left and self._may_try_again():
                self.begin()
        for id in self._left:
            if (error := self._failed_for.get(id) or self._failed) is not None:
                raise error

    def _drain(self, place: Place, ids: list[ObjectId], stream: Iterator[Packed | Broken]) -> Iterator[Packed]:
        try:
            for one in stream:
                if isinstance(one, Packed):
                    self._left.pop(one.id, None)
                    yield one
                else:
                    self._refuse(place, [one.id], place.told(one.error))
        except RemoteError as error:
            self._give_up(place, error)
        except NotFoundError as error:
            # It has merged or collected its packs meanwhile, or it is damaged.
            if not self._refresh(place):
                self._refuse(place, [id for id in ids if id in self._left], place.told(error))

    def _may_try_again(self) -> bool:
        """Whether what is left may be had now: from another place than before, or since a head has moved."""
        places = [place for place in self._places if place not in self._out]
        return any((place, id) not in self._refused for place in places for id in self._left)

    def _refresh(self, place: Place) -> bool:
        try:
            return place.refresh()
        except RemoteError as error:
            self._give_up(place, error)
            return True

    def _refuse(self, place: Place, ids: Sequence[ObjectId], error: RemoteError) -> None:
        self._refused |= {(place, id) for id in ids}
        self._failed_for = dict.fromkeys(ids, error) | self._failed_for

    def _give_up(self, place: Place, error: RemoteError) -> None:
        self._out.add(place)
        self._failed = self._failed or error
