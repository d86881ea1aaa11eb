"""Keeping: blobs that came from elsewhere go into the local store, without a new operation.

What cannot be kept is not: a full or read-only disk, or a store that others change too fast, never makes a read fail.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from dsvc.errors import DsvcError, RemoteError
from dsvc.store.backend import Backend
from dsvc.store.frame import Packed
from dsvc.store.head import HeadMovedError
from dsvc.store.ids import ObjectId
from dsvc.store.writer import ObjectWriter

if TYPE_CHECKING:
    pass

ENOUGH = 64 << 20  # bytes, after which what was kept is published
T = TypeVar("T")


class Keeper:
    """Stages blobs, and publishes them many at a time. May be used from several threads."""

    def __init__(self, backend: Backend, guard: Callable[[ObjectWriter], None]) -> None:
        """`guard` is asked before anything is published, and raises a DsvcError where that may not be."""
        self._backend = backend
        self._guard = guard
        self._lock = threading.RLock()
        self._writer: ObjectWriter | None = None
        self._staged = 0
        self._ids: set[ObjectId] = set()
        self.failure: Exception | None = None  # why nothing more is kept

    def keep(self, packed: Packed) -> None:
        """Stage a blob, which is not stored here."""

        def stage(writer: ObjectWriter) -> None:
            writer.put_packed(packed)
            self._ids.add(packed.id)
            self._staged += len(packed.frame)

        self._try(stage)

    def keep_pieces(self, pieces: Iterator[bytes], size: int) -> bool:
        """Store a big blob that comes in pieces at once; False where it cannot be kept, and some pieces are read."""

        def stage(writer: ObjectWriter) -> bool:
            self._ids.add(writer.put_blob(pieces, size))
            return True

        with self._lock:
            return self._try(stage) is not None and self.flush()

    def has(self, id: ObjectId) -> bool:
        """Whether a blob is staged and not published yet."""
        return id in self._ids

    def get(self, id: ObjectId) -> Packed | None:
        """A blob that is staged and not published yet, verified; else None."""
        return self._try(lambda writer: writer.staged(id)) if id in self._ids else None

    def _try(self, work: Callable[[ObjectWriter], T]) -> T | None:
        """Do some work with the writer; None, and nothing more is kept, where that fails."""
        with self._lock:
            if self.failure is not None:
                return None
            try:
                if self._writer is None:
                    self._writer = self._begin()
                result = work(self._writer)
            except RemoteError:
                raise
            except (DsvcError, OSError) as error:
                self._drop(error)
                return None
            if self._staged >= ENOUGH:
                self.flush()
            return result

    def _begin(self) -> ObjectWriter:
        from dsvc.store.objects import ObjectStore

        # A store of its own, so that whoever reads through the other one sees no head move under a transaction.
        self._store = ObjectStore(self._backend)
        return self._store.writer()

    def flush(self) -> bool:
        """Publish what is staged; False where that fails, and it is dropped."""
        with self._lock:
            writer = self._writer
            if writer is None:
                return self.failure is None
            try:
                self._publish(writer)
            except (DsvcError, OSError, RuntimeError) as error:  # the last: no thread begins while Python ends
                self._drop(error)
                return False
            self._writer, self._staged, self._ids = None, 0, set()
            return True

    def _drop(self, failure: Exception) -> None:
        writer, self._writer = self._writer, None
        self._staged, self._ids, self.failure = 0, set(), failure
        if writer is not None:
            writer.close()

    def _publish(self, writer: ObjectWriter) -> None:
        """Publish with the operation that stands, whichever that is by then."""
        try:
            return self._attempt(writer)
        except HeadMovedError:
            pass
        with writer.turn():
            while True:
                try:
                    return self._attempt(writer)
                except HeadMovedError:
                    continue

    def _attempt(self, writer: ObjectWriter) -> None:
        if writer.base is not None:
            self._guard(writer)
            writer.publish(writer.base.operation)
