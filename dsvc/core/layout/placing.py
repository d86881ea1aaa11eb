"""Placing media: what becomes of each file of a folder, and writing those that are to be there.

A file is replaced or removed only if its bytes are those that were laid out. It is written under another name and
renamed, so that it is whole whenever the process ends.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from blake3 import blake3

from dsvc.core.files.scanning import Stamp
from dsvc.core.layout.ground import BlockedError, Ground
from dsvc.core.layout.record import LaidTable
from dsvc.errors import DamagedError, NotFoundError
from dsvc.model.incoming import Progress
from dsvc.store.files import refusal
from dsvc.store.ids import ObjectId
from dsvc.store.objects import ObjectStore

if TYPE_CHECKING:
    from concurrent.futures import Future

    from dsvc.store.catalog import Catalog, Location

CHANGED = "was changed here"
DELETED = "was deleted here"
PIECE = 1 << 20
_FLAGS = os.O_RDONLY
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL
for _flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
    _FLAGS |= getattr(os, _flag, 0)
for _flag in ("O_CLOEXEC", "O_BINARY"):
    _NEW |= getattr(os, _flag, 0)
# With these, no other file could be written either.
_FATAL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE})
_THREADS = 2
_BATCH = 32
_AHEAD = 4
_WINDOW = 64 * _BATCH  # files whose bytes are announced together


class Task(NamedTuple):
    """A file to write: its path below the root, its bytes, and the stamp of the file that it takes the place of."""

    path: str
    blob: ObjectId
    expected: Stamp | None


class Files:
    """The files of a folder as they are, beside those that were laid out."""

    def __init__(self, ground: Ground, table: LaidTable) -> None:
        self.ground = ground
        self.table = table

    def hash(self, path: str, stamp: Stamp) -> bytes:
        """The id of a file's bytes, which has a stamp. Raises BlockedError where it cannot be read."""
        known = self.table.blob(path, stamp)
        if known is None:
            known = self._read(path)
            self.table.note(path, stamp, known)
        return known

    def _read(self, path: str) -> bytes:
        hasher = blake3()
        try:
            handle = os.open(self.ground.place(path), _FLAGS)
            try:
                while piece := os.read(handle, PIECE):
                    hasher.update(piece)
            finally:
                os.close(handle)
        except OSError as error:
            raise BlockedError(f"cannot be read: {error.strerror}") from error
        return hasher.digest()

    def task(self, path: str, blob: bytes, olds: Collection[bytes], may_miss: bool) -> Task | None:
        """What is to be written at a path; None where its bytes are there. Raises BlockedError for what is in the way.

        `olds` are ids of bytes that may be replaced. `may_miss` says that a file which is not there is to be written;
        without, it was deleted.
        """
        stamp = self.ground.stamp(path)
        if stamp is None:
            if not may_miss:
                raise BlockedError(DELETED)
            return Task(path, ObjectId(blob), None)
        found = self.hash(path, stamp)
        if found == blob:
            return None
        if found not in olds:
            raise BlockedError(CHANGED if olds else "is there already, and is another file")
        return Task(path, ObjectId(blob), stamp)

    def is_removable(self, path: str, olds: Collection[bytes]) -> bool:
        """Whether a file is there, and may go. Raises BlockedError where it was changed."""
        stamp = self.ground.stamp(path)
        if stamp is None:
            self.table.drop(path)
            return False
        if self.hash(path, stamp) not in olds:
            raise BlockedError(CHANGED)
        return True

    def remove(self, path: str, end: str) -> None:
        """Remove a file, and the folders up to `end` that it leaves empty. Raises BlockedError."""
        try:
            Path(self.ground.place(path)).unlink()
        except OSError as error:
            raise BlockedError(f"cannot be removed: {error.strerror}") from error
        self.table.drop(path)
        self.ground.sweep(path.rpartition("/")[0], end)

    def rename(self, temporary: str, task: Task, stamp: Stamp) -> None:
        """Give a file that was written its name. Raises BlockedError where something came in between."""
        folder = task.path.rpartition("/")[0]
        try:
            self.ground.make(folder)
            if self.ground.stamp(task.path) != task.expected:
                # On some systems, this may be a file that was just written, of a name that is no other one there.
                raise BlockedError(CHANGED if task.expected else "another file has this name on this file system")
            Path(temporary).replace(self.ground.place(task.path))
        except OSError as error:
            raise _blocked(error, self.ground.place(task.path)) from error
        self.table.note(task.path, stamp, task.blob)


def _blocked(error: OSError, place: str) -> BlockedError:
    """The error of one file. Raises RefusedError where no other one could be written either."""
    if error.errno in _FATAL:
        raise refusal(error, Path(place)) from error
    return BlockedError(f"cannot be written: {error.strerror}")


# ---- writing

# Makes a file, by its path, of a blob, and gives its stamp.
Make = Callable[[str, ObjectId], Stamp]


class Written(NamedTuple):
    """A file under its passing name, or why there is none."""

    task: Task
    temporary: str
    stamp: Stamp | None
    problem: str | None = None


def _find(blob: ObjectId, catalog: Catalog) -> Location | None:
    return catalog.find(blob)


def in_pack_order(store: ObjectStore, tasks: Iterable[Task]) -> tuple[list[Task], list[Task]]:
    """Tasks in the order in which their bytes lie in packs, then those whose bytes a remote has; and those whose bytes
    nobody has. Raises RemoteError."""
    placed, distant, absent = [], [], []
    for task in tasks:
        found = store.follow(partial(_find, task.blob))
        if found is not None:
            placed.append((found.pack.id, found.entry.offset, task))
        elif store.elsewhere is not None and store.elsewhere.has(task.blob):
            distant.append(task)
        else:
            absent.append(task)
    placed.sort(key=lambda one: one[:2])
    return [*(task for _, _, task in placed), *distant], absent


def copies(store: ObjectStore) -> Make:
    """Makes files that are copies."""

    def make(place: str, blob: ObjectId) -> Stamp:
        handle = os.open(place, _NEW, 0o666)
        try:
            for piece in store.open_blob(blob):
                done = os.write(handle, piece)
                while done < len(piece):
                    done += os.write(handle, memoryview(piece)[done:])
            found = os.fstat(handle)
        finally:
            os.close(handle)
        return found.st_size, found.st_mtime_ns, found.st_ino

    return make


def write_files(
    store: ObjectStore, tasks: list[Task], workplace: str, make: Make, progress: Progress | None
) -> Iterator[Written]:
    """Write files under passing names, several at once; in order. Raises RefusedError where the disk is full, and
    RemoteError where bytes are at a remote that is out of reach."""
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="dsvc-checkout")
    ahead: deque[Future[list[Written]]] = deque()
    done = 0
    try:
        for at in range(0, len(tasks), _BATCH):
            if at % _WINDOW == 0:
                store.prefetch([task.blob for task in tasks[at : at + _WINDOW]])
            ahead.append(pool.submit(_write_batch, tasks[at : at + _BATCH], at, workplace, make))
            if len(ahead) < _AHEAD and at + _BATCH < len(tasks):
                continue
            while len(ahead) >= _AHEAD or (ahead and at + _BATCH >= len(tasks)):
                found = ahead.popleft().result()
                yield from found
                done += len(found)
                if progress:
                    progress("write files", done, len(tasks))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _write_batch(tasks: list[Task], start: int, workplace: str, make: Make) -> list[Written]:
    found = []
    for number, task in enumerate(tasks, start):
        temporary = f"{workplace}/{number}"
        try:
            found.append(Written(task, temporary, make(temporary, task.blob)))
        except OSError as error:
            raise refusal(error, Path(temporary)) from error
        except (DamagedError, NotFoundError) as error:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
            found.append(Written(task, temporary, None, error.message))
    return found
