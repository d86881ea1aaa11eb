"""Staging: the objects of one transaction on their way into packs, off the caller's thread."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from dsvc.store.backend import Backend
from dsvc.store.frame import CHUNKED, RAW, Entry, Packed, check_frame, is_dense, squeeze
from dsvc.store.ids import Kind, ObjectId
from dsvc.store.pack import PACK_TARGET, Frames, PackClass, PackInfo, PackWriter, split_history
from dsvc.store.resuming import FinishedPack, Journal

_BATCH_BYTES = 1 << 20
_BATCH_OBJECTS = 512
_QUEUED = 16  # batches; a bigger one takes a place per MiB, so that what waits in memory stays near 16 MiB
_TO_HAND = 16 << 10  # bytes: compressing a smaller blob costs less than handing it to another thread
_POURED = 32 << 10  # bytes: so much structure may lie in a history pack
_CLOSING = 2  # packs that may be syncing while the next one grows


class Pending(NamedTuple):
    """An object that waits to be packed."""

    id: ObjectId
    kind: Kind
    data: bytes
    pack_class: PackClass


class Staged(NamedTuple):
    """An object in one of the transaction's packs."""

    writer: PackWriter | FinishedPack
    entry: Entry


class Staging:
    """The transaction's packs, and where in them its objects lie.

    What takes time to compress goes to a worker thread; it starts with the second batch, so small transactions have
    none. Other blobs are appended here and now: handing them over costs more than that, since both threads would
    wait for the interpreter lock at every file.
    """

    def __init__(self, backend: Backend) -> None:
        self.objects: dict[ObjectId, Pending | Staged] = {}
        self.folded: dict[ObjectId, Staged] = {}
        # What lies in packs that an earlier transaction finished; see `adopt`. Packs are noted in the journal, if any.
        self.adoptable: dict[ObjectId, Staged] = {}
        self.journal: Journal | None = None
        self.has_lists = False  # whether a blob in chunks was staged
        self._backend = backend
        self._open: dict[PackClass, PackWriter] = {}
        self._packs: list[PackWriter] = []
        self._adopted: list[FinishedPack] = []
        self.dropped: list[str] = []  # finished packs of a try that failed, which nothing lists
        self._batch: list[Pending] = []
        self._batch_bytes = 0
        self._queue: queue.Queue[list[Pending] | None] = queue.Queue(_QUEUED)
        self._worker: threading.Thread | None = None
        self._closers: list[threading.Thread] = []
        self._error: BaseException | None = None
        self._lock = threading.Lock()  # for what both threads do: choosing a pack and appending to it

    def put(self, id: ObjectId, kind: Kind, data: bytes, pack_class: PackClass | None = None) -> None:
        """Stage an object that is not staged yet, in a pack of its kind's class unless another is given."""
        if pack_class is None:
            pack_class = PackClass.of(kind)
        if kind is Kind.BLOB:
            if len(data) <= _TO_HAND:
                self._append_now(pack_class, id, kind, len(data), *squeeze(kind, data))
                return
            if is_dense(data):
                self._append_now(pack_class, id, kind, len(data), RAW, data)
                return
        pending = Pending(id, kind, data, pack_class)
        self.objects[id] = pending
        self._batch.append(pending)
        self._batch_bytes += len(data)
        if self._batch_bytes >= _BATCH_BYTES or len(self._batch) >= _BATCH_OBJECTS:
            self._hand_over()

    def put_packed(self, packed: Packed) -> None:
        """Stage an object, not staged yet, in the verified frame that it has elsewhere."""
        self._raise_error()
        self._guard(self._append_frame, packed)
        self._raise_error()
        self.has_lists |= packed.entry.codec == CHUNKED

    def _append_frame(self, packed: Packed) -> None:
        id, entry, frame, _ = packed
        with self._lock:
            writer = self._writer(PackClass.of(entry.kind))
            self.objects[id] = Staged(writer, writer.append_frame(id, entry, frame))

    def put_run(self, run: memoryview, rows: list[tuple[ObjectId, Entry]]) -> None:
        """Stage objects of one class, not staged yet, whose verified frames lie one after the other in `run`."""
        self._raise_error()
        self._guard(self._append_run, run, rows, self.objects)
        self._raise_error()

    def _append_run(self, run: memoryview, rows: list[tuple[ObjectId, Entry]], where: dict[ObjectId, Any]) -> None:
        with self._lock:
            writer = self._writer(PackClass.of(rows[0][1].kind))
            self.has_lists |= any(entry.codec == CHUNKED for _, entry in rows)
            for id, entry in writer.append_run(run, rows):
                where[id] = Staged(writer, entry)

    def offer_run(self, run: memoryview, rows: list[tuple[ObjectId, Entry]]) -> None:
        """Pack structure, as `put_run` does, of which only what is adopted then is staged. The rest has no row."""
        self._raise_error()
        self._guard(self._append_run, run, rows, self.adoptable)
        self._raise_error()

    def adopt(self, id: ObjectId, kind: Kind | None = None) -> bool:
        """Stage an object, not staged yet, that was offered or lies in an earlier transaction's pack; whether it is.
        It must be of the kind, if one is given."""
        found = self.adoptable.get(id)
        if found is None or kind not in (None, found.entry.kind):
            return False
        self.objects[id] = found
        self.has_lists |= found.entry.codec == CHUNKED
        if isinstance(found.writer, FinishedPack) and not found.writer.is_adopted:
            found.writer.is_adopted = True
            self._adopted.append(found.writer)
        return True

    def withdraw(self) -> None:
        """Adopt no more: what was offered and not adopted becomes gaps, in packs that are not finished yet."""
        self.drain()
        left = self.adoptable.keys() - self.objects.keys()
        for writer in self._open.values():
            writer.unlist({id for id in left if self.adoptable[id].writer is writer})
        self.adoptable.clear()

    def _append_now(self, *packed: Any) -> None:
        self._raise_error()
        self._guard(self._append_packed, *packed)
        self._raise_error()

    def _hand_over(self) -> None:
        self._raise_error()
        if self._worker is None:
            self._worker = threading.Thread(target=self._work, name="dsvc-pack", daemon=True)
            self._worker.start()
        self._queue.put(self._batch)
        for _ in range(min(_QUEUED, self._batch_bytes // _BATCH_BYTES - 1)):
            self._queue.put([])
        self._batch, self._batch_bytes = [], 0

    def _work(self) -> None:
        while (batch := self._queue.get()) is not None:
            if self._error is None:  # after one, only empty the queue, so that nobody waits for ever
                self._guard(self._append, batch)
            self._queue.task_done()

    def _guard(self, call: Callable[..., object], *arguments: object) -> None:
        try:
            call(*arguments)
        except BaseException as error:  # handed to the caller's thread
            self._error = error

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _append(self, batch: list[Pending]) -> None:
        for id, kind, data, pack_class in batch:
            self._append_packed(pack_class, id, kind, len(data), *squeeze(kind, data))

    def _append_packed(
        self, pack_class: PackClass, id: ObjectId, kind: int, size: int, codec: int, payload: bytes
    ) -> None:
        with self._lock:
            writer = self._writer(pack_class)
            self.objects[id] = Staged(writer, writer.append_packed(id, kind, size, codec, payload))

    def _writer(self, pack_class: PackClass) -> PackWriter:
        """The pack of this class that has room."""
        writer = self._open.get(pack_class)
        if writer is not None and writer.full:
            self._close(pack_class)
            writer = None
        if writer is None:
            writer = self._open[pack_class] = PackWriter(self._backend, pack_class)
            self._packs.append(writer)
        return writer

    def _close(self, pack_class: PackClass) -> None:
        """Sync and name a full pack while the next one grows."""
        writer = self._open.pop(pack_class)
        closer = threading.Thread(target=self._guard, args=(self._finish, writer), name="dsvc-sync", daemon=True)
        closer.start()
        self._closers.append(closer)
        if len(self._closers) > _CLOSING:
            self._closers.pop(0).join()

    def put_list(self, id: ObjectId, size: int, payload: bytes) -> None:
        """Stage the list of the chunks of a blob of `size` bytes, in place of one that is staged or stored."""
        self._append_now(PackClass.MEDIA, id, Kind.BLOB, size, CHUNKED, payload)
        self.has_lists = True

    def _finish(self, writer: PackWriter) -> None:
        info = writer.finish()
        if self.journal is not None and not _is_history(writer):  # which holds what was folded, too
            held = [(id, self.objects.get(id) or self.adoptable.get(id)) for id in writer.ids]
            rows = [(id, one.entry) for id, one in held if isinstance(one, Staged) and one.writer is writer]
            self.journal.note(info, rows)

    def make_room(self, size: int) -> None:
        """Close the growing pack of media unless it takes `size` bytes more: then `forget` finds all in packs that
        hold nothing else, or in one that is not closed yet."""
        self.drain()
        writer = self._open.get(PackClass.MEDIA)
        if writer is not None and writer.size + size + size // 64 >= PACK_TARGET:
            self._close(PackClass.MEDIA)

    def forget(self, ids: Iterable[ObjectId]) -> None:
        """Drop staged objects: packs with nothing else go, in one that is not closed yet they leave gaps."""
        self.drain()
        gone = {id for id in ids if self.objects.pop(id, None) is not None}
        used = {held.writer for held in self.objects.values() if isinstance(held, Staged)}
        for closer in self._closers:
            closer.join()
        self._closers.clear()
        for writer in [writer for writer in self._packs if writer not in used]:
            if self._open.get(writer.pack_class) is writer:
                del self._open[writer.pack_class]
            self._packs.remove(writer)
            self._remove(writer)
        for writer in self._open.values():
            writer.unlist(gone)

    def _remove(self, writer: PackWriter) -> None:
        writer.abort()
        if writer.info is not None:
            with contextlib.suppress(Exception):
                self._backend.delete(writer.info.name)

    def drain(self) -> None:
        """Return once every staged object is in a pack. Raises what went wrong on the way."""
        self._raise_error()
        if self._worker is None:
            batch, self._batch, self._batch_bytes = self._batch, [], 0
            self._guard(self._append, batch)
        elif self._batch:
            self._hand_over()
        self._queue.join()
        self._raise_error()

    def open_size(self, pack_class: PackClass) -> int:
        """How many bytes the growing pack of a class has, 0 when there is none."""
        writer = self._open.get(pack_class)
        return 0 if writer is None or writer.full else writer.size

    def fold(self, id: ObjectId, entry: Entry, frame: bytes, pack_class: PackClass) -> Staged:
        """Copy a verified frame of an older pack into a growing one. Only after `drain`."""
        writer = self._writer(pack_class)
        staged = self.folded[id] = Staged(writer, writer.append_frame(id, entry, frame))
        return staged

    def held(self, id: ObjectId) -> Staged | None:
        """Where an object lies in the packs of this transaction, if it does. Only after `drain`."""
        found = self.objects.get(id) or self.folded.get(id)
        return found if isinstance(found, Staged) else None

    def pour(self) -> None:
        """Let the structure of a small transaction lie in its history pack: one file less to sync and to send.

        Only after `drain`.
        """
        structure, history = self._open.get(PackClass.STRUCTURE), self._open.get(PackClass.HISTORY)
        if structure is None or history is None or not structure.is_held or structure.size > _POURED:
            return
        moved = history.take_over(structure)
        for id in structure.ids:
            for where in (self.objects, self.folded):
                held = where.get(id)
                if isinstance(held, Staged) and held.writer is structure:
                    where[id] = Staged(history, held.entry._replace(offset=held.entry.offset + moved))
        del self._open[PackClass.STRUCTURE]
        self._packs.remove(structure)

    def reopen_history(self) -> None:
        """Stage the history of a try that failed again: what was folded into its pack may be elsewhere by now.

        Only after `drain`.
        """
        for old in [writer for writer in self._packs if _is_history(writer) and not writer.full]:
            if old.info is None:
                continue
            self.folded = {id: held for id, held in self.folded.items() if held.writer is not old}
            self._packs.remove(old)
            self.dropped.append(old.info.name)
            held = ((id, self.objects.get(id)) for id in old.ids)
            own = [(id, found.entry) for id, found in held if isinstance(found, Staged) and found.writer is old]
            for pack_class, frames in zip((PackClass.HISTORY, PackClass.STRUCTURE), split_history(own), strict=True):
                for id, entry in frames:
                    writer = self._writer(pack_class)
                    frame = old.read(entry.offset, entry.length)
                    self.objects[id] = Staged(writer, writer.append_frame(id, entry, frame))

    def finish(self) -> list[PackInfo]:
        """Make every pack durable; returns all of this transaction. More objects may follow in new packs."""
        self.drain()
        for pack_class in list(self._open):
            self._finish(self._open.pop(pack_class))
        for closer in self._closers:
            closer.join()
        self._closers.clear()
        self._raise_error()
        return self._finished()

    def _finished(self) -> list[PackInfo]:
        packs: list[PackWriter | FinishedPack] = [*self._packs, *self._adopted]
        return [pack.info for pack in packs if pack.info is not None]

    def renew(self) -> None:
        """Copy what lies in finished packs to new ones: these may be gone. Raises NotFoundError where one is, and
        DamagedError."""
        self.drain()
        for closer in self._closers:
            closer.join()
        self.adoptable.clear()
        old = {id(pack) for pack in self._adopted} | {id(writer) for writer in self._packs if writer.info is not None}
        self._adopted.clear()
        self._packs = [writer for writer in self._packs if writer.info is None]
        self.folded = {key: staged for key, staged in self.folded.items() if id(staged.writer) not in old}
        parts: dict[PackWriter | FinishedPack, Frames] = {}
        for key, held in self.objects.items():
            if isinstance(held, Staged) and id(held.writer) in old:
                parts.setdefault(held.writer, []).append((key, held.entry))
        for pack, frames in parts.items():
            assert pack.info is not None  # finished
            split = split_history(frames) if pack.info.pack_class is PackClass.HISTORY else (frames, [])
            for pack_class, members in zip((pack.info.pack_class, PackClass.STRUCTURE), split, strict=True):
                for key, entry in members:
                    frame = pack.read(entry.offset, entry.length)
                    check_frame(frame, key, entry, "this transaction")
                    writer = self._writer(pack_class)
                    self.objects[key] = Staged(writer, writer.append_frame(key, entry, frame))

    def published(self) -> None:
        """Take the packs out of the journal: they are listed."""
        if self.journal is not None:
            self.journal.forget(info.id for info in self._finished())

    def close(self, drop: bool) -> None:
        """Stop the worker and drop unfinished packs; with `drop` the finished ones too, if nobody lists them, and no
        journal notes them."""
        if self._worker is not None:
            self._error = self._error or RuntimeError("the transaction is closed")
            self._queue.put(None)
            self._worker.join()
            self._worker = None
        for closer in self._closers:
            closer.join()
        for writer in self._packs:
            if drop and (self.journal is None or _is_history(writer)):
                self._remove(writer)
            else:
                writer.abort()
        if drop and self.dropped:
            with contextlib.suppress(Exception):
                self._backend.delete_all(self.dropped)
        self._open.clear()


def _is_history(writer: PackWriter) -> bool:
    return writer.pack_class is PackClass.HISTORY
