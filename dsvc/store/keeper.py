"""Keeping: blobs that came from elsewhere go into the local store, without a new operation.

What cannot be kept is not: a full or read-only disk, or a store that others change too fast, never makes a read fail.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from dsvc.errors import DsvcError, RemoteError
from dsvc.store.backend import Backend
from dsvc.store.frame import Packed
from dsvc.store.head import HeadMovedError
from dsvc.store.ids import ObjectId
from dsvc.store.writer import ObjectWriter

ENOUGH = 64 << 20  # bytes, after which what was kept is published
T = TypeVar("T")
Guard = Callable[[ObjectWriter], None]


class _Batch:
    """Blobs that are published together."""

    def __init__(self, backend: Backend) -> None:
        from dsvc.store.objects import ObjectStore

        # A store of its own, so that whoever reads through the other one sees no head move under a transaction.
        self.writer = ObjectStore(backend).writer()
        self.ids: set[ObjectId] = set()
        self.bytes = 0

    def publish(self, guard: Guard) -> None:
        """Publish with the operation that stands, whichever that is by then. Raises what the guard does."""
        try:
            return self._attempt(guard)
        except HeadMovedError:
            pass
        with self.writer.turn():
            while True:
                try:
                    return self._attempt(guard)
                except HeadMovedError:
                    continue

    def _attempt(self, guard: Guard) -> None:
        if self.writer.base is not None:
            guard(self.writer)
            self.writer.publish(self.writer.base.operation)


class Keeper:
    """Stages blobs, and publishes them many at a time, beside the caller's work. May be used from several threads."""

    def __init__(self, backend: Backend, guard: Guard) -> None:
        """`guard` is asked before anything is published, and raises a DsvcError where that may not be."""
        self._backend = backend
        self._guard = guard
        self._lock = threading.RLock()
        self._batch: _Batch | None = None
        self._leaving: _Batch | None = None
        self._thread: threading.Thread | None = None
        self.failure: Exception | None = None  # why nothing more is kept
        self.published = 0  # how many batches

    def keep(self, packed: Packed) -> None:
        """Stage a blob, which is not stored here."""

        def stage(batch: _Batch) -> None:
            batch.writer.put_packed(packed)
            batch.ids.add(packed.id)
            batch.bytes += len(packed.frame)

        self._try(stage)

    def keep_pieces(self, pieces: Iterator[bytes], size: int) -> bool:
        """Store a big blob that comes in pieces at once; False where it cannot be kept, and some pieces are read."""

        def stage(batch: _Batch) -> bool:
            batch.ids.add(batch.writer.put_blob(pieces, size))
            return True

        with self._lock:
            return self._try(stage) is not None and self.flush()

    def has(self, id: ObjectId) -> bool:
        """Whether a blob is staged and not published yet."""
        return any(batch is not None and id in batch.ids for batch in (self._batch, self._leaving))

    def get(self, id: ObjectId) -> Packed | None:
        """A blob that is staged and not published yet, verified; else None."""
        for batch in (self._batch, self._leaving):
            if batch is not None and id in batch.ids:
                with contextlib.suppress(DsvcError, OSError):  # it lies elsewhere by now, or is fetched again
                    return batch.writer.staged(id)
        return None

    def _try(self, work: Callable[[_Batch], T]) -> T | None:
        """Do some work with the batch; None, and nothing more is kept, where that fails."""
        with self._lock:
            if self.failure is not None:
                return None
            try:
                if self._batch is None:
                    self._batch = _Batch(self._backend)
                result = work(self._batch)
            except RemoteError:
                raise
            except (DsvcError, OSError) as error:
                self._drop(self._batch, error)
                self._batch = None
                return None
            if self._batch.bytes >= ENOUGH and self._leaving is None:
                self._leaving, self._batch = self._batch, None
                self._thread = threading.Thread(target=self._leave, args=(self._leaving,), name="dsvc-keep")
                self._thread.start()
            return result

    def _leave(self, batch: _Batch) -> None:
        """Publish a batch; the next one grows meanwhile."""
        try:
            self._publish(batch)
        finally:
            self._leaving = None

    def _publish(self, batch: _Batch) -> bool:
        try:
            batch.publish(self._guard)
        except (DsvcError, OSError, RuntimeError) as error:  # the last: no thread begins while Python ends
            self._drop(batch, error)
            return False
        self.published += 1
        return True

    def flush(self) -> bool:
        """Publish what is staged; False where that fails, and it is dropped."""
        with self._lock:
            if self._thread is not None:
                self._thread.join()
                self._thread = None
            batch, self._batch = self._batch, None
            if batch is not None:
                self._publish(batch)
            return self.failure is None

    def _drop(self, batch: _Batch | None, failure: Exception) -> None:
        self.failure = failure
        if batch is not None:
            batch.writer.close()
