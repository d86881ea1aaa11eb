"""Reading the files that were found: safely, in order, and side by side where storage is slow.

What cannot be read is reported by name and passed over; nothing that blocks is ever waited for, and no file
is taken that changes while it is read.
"""

from __future__ import annotations

import errno
import itertools
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from blake3 import blake3

from dsvc.core.files.worktree import FoundFile, Problem, Report, reason, wrong_kind
from dsvc.core.keys import display
from dsvc.core.media import MediaFacts, probe
from dsvc.errors import RefusedError
from dsvc.store.ids import Kind, ObjectId, object_id

if TYPE_CHECKING:
    from concurrent.futures import Future

LARGE = 16 * 1024 * 1024  # bytes: a larger file is streamed, never held whole
PIECE = 1024 * 1024

_THREADS = 4
_BATCHES = 4  # that many batches are read ahead of the consumer, each of at most
_BATCH_FILES = 32  # files, or, but for one file more,
_BATCH_BYTES = 4 * 1024 * 1024
_AHEAD_FOR = 32  # batches that are read ahead before looking again how slow storage is
_FAST_FILE = 300e-6  # seconds that a file, and
_FAST_BYTE = 3e-9  # that each byte may take for storage to count as fast: memory takes a tenth of both
_SLOW_PART = 0.25  # of the files may take longer and storage still counts as fast: other work can stall a few
_OPEN_FLAGS = os.O_RDONLY
for _flag in ("O_NONBLOCK", "O_NOFOLLOW", "O_NOCTTY", "O_CLOEXEC", "O_BINARY"):
    _OPEN_FLAGS |= getattr(os, _flag, 0)

Stamp = tuple[int, int, int, int]


class ChangedFileError(RefusedError):
    """A file changed while it was read, so that its bytes are those of no one moment; `reason` says how."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{display(path)}: {why}", "add it again when it is at rest")
        self.reason = why


class ReadFile(NamedTuple):
    """A file's bytes, id and facts; those of a large one are None, and `pieces` streams it. Size in bytes."""

    key: str
    path: str
    size: int
    id: ObjectId | None
    data: bytes | None
    facts: MediaFacts
    stamp: Stamp

    def pieces(self) -> Iterator[bytes]:
        """The bytes in pieces of at most 1 MiB; raises ChangedFileError if they are no longer those probed."""
        if self.data is not None:
            yield from (self.data[start : start + PIECE] for start in range(0, self.size, PIECE))
            return
        try:
            yield from _stream(self.path, self.stamp)
        except OSError as error:
            raise ChangedFileError(self.path, reason(error)) from error


def read_files(found: Iterable[FoundFile], *, report: Report, large: int = LARGE) -> Iterator[ReadFile]:
    """Read, hash and probe files, in order; in threads, at most some 80 MB ahead, while storage is slow.

    A file over `large` bytes comes without data and id. One that cannot be read, is no regular file any more,
    or changes in both of two attempts goes to `report`, in the caller's thread, and the others go on.
    """
    files = iter(found)
    while batch := list(itertools.islice(files, _BATCH_FILES)):
        slow = 0
        for file in batch:
            start = time.perf_counter()
            result = _read(file, large)
            seconds = time.perf_counter() - start
            if type(result) is ReadFile:
                slow += seconds > _FAST_FILE + min(result.size, large) * _FAST_BYTE
                yield result
            else:
                yield from _sorted_out([result], report)
        # Threads pay where files have to be waited for. Handing small files that the system has in memory from
        # thread to thread was measured to cost more than all of reading and hashing them.
        if slow > len(batch) * _SLOW_PART:
            yield from _read_ahead(itertools.islice(_batches(files), _AHEAD_FOR), report, large)


def hash_files(found: Iterable[FoundFile], *, report: Report) -> Iterator[tuple[FoundFile, Stamp, ObjectId]]:
    """The ids of files' bytes with the stamps that they had, in order, read as `read_files` does."""
    for file in read_files(found, report=report):
        blob = file.id
        if blob is None:
            hasher = blake3()
            try:
                for piece in file.pieces():
                    hasher.update(piece)
            except ChangedFileError as error:
                report(Problem(Path(file.path), error.reason))
                continue
            blob = ObjectId(hasher.digest())
        yield FoundFile(file.key, file.path), file.stamp, blob


def _read_ahead(batches: Iterable[list[FoundFile]], report: Report, large: int) -> Iterator[ReadFile]:
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="dsvc-read")
    ahead: deque[Future[list[ReadFile | Problem]]] = deque()
    try:
        for batch in batches:
            ahead.append(pool.submit(_read_batch, batch, large))
            if len(ahead) >= _BATCHES:
                yield from _sorted_out(ahead.popleft().result(), report)
        while ahead:
            yield from _sorted_out(ahead.popleft().result(), report)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _batches(found: Iterable[FoundFile]) -> Iterator[list[FoundFile]]:
    batch: list[FoundFile] = []
    size = 0
    for file in found:
        batch.append(file)
        size += min(_size(file.path), _BATCH_BYTES)
        if len(batch) >= _BATCH_FILES or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _size(path: str) -> int:
    """How big a file is, so that not too much is read ahead; 0 where reading it will tell what is wrong."""
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0


def _sorted_out(results: Iterable[ReadFile | Problem], report: Report) -> Iterator[ReadFile]:
    for result in results:
        if isinstance(result, Problem):
            report(result)
        else:
            yield result


def _read_batch(batch: list[FoundFile], large: int) -> list[ReadFile | Problem]:
    return [_read(file, large) for file in batch]


def _read(file: FoundFile, large: int) -> ReadFile | Problem:
    try:
        result = _attempt(file, large) or _attempt(file, large)
    except OSError as error:
        return Problem(Path(file.path), reason(error))
    return result or Problem(Path(file.path), "changes while it is read")


def _attempt(file: FoundFile, large: int) -> ReadFile | None:
    """One reading of a file; None if it changed meanwhile."""
    handle = _open(file.path)
    try:
        before = os.fstat(handle)
        wrong = wrong_kind(before.st_mode)
        if wrong:
            raise OSError(errno.EINVAL, wrong)
        data, facts = _contents(handle, file.key, before.st_size, large)
        stamp = _stamp(before)
        if _stamp(os.fstat(handle)) != stamp or (data is not None and len(data) != before.st_size):
            return None
    finally:
        os.close(handle)
    blob = None if data is None else object_id(Kind.BLOB, data)
    return ReadFile(file.key, file.path, before.st_size, blob, data, facts, stamp)


def _open(path: str) -> int:
    return os.open(path, _OPEN_FLAGS)


def _contents(handle: int, name: str, size: int, large: int) -> tuple[bytes | None, MediaFacts]:
    if size > large:
        with open(handle, "rb", closefd=False) as source:
            return None, probe(source, name)
    data = _read_all(handle, size)
    return data, probe(data, name)


def _read_all(handle: int, size: int) -> bytes:
    """The whole of a file of `size` bytes, or one byte more if it has grown."""
    data = os.read(handle, size + 1)  # one byte more, so that growth shows and a plain file takes one call
    while 0 < len(data) < size:
        piece = os.read(handle, size + 1 - len(data))
        if not piece:
            break
        data += piece
    return data


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_size, status.st_mtime_ns, status.st_ino, status.st_dev


def _stream(path: str, stamp: Stamp) -> Iterator[bytes]:
    handle = _open(path)
    try:
        left = stamp[0]
        same = _stamp(os.fstat(handle)) == stamp
        while same and left and (piece := os.read(handle, min(PIECE, left))):
            left -= len(piece)
            yield piece
        same = same and not left and _stamp(os.fstat(handle)) == stamp
    finally:
        os.close(handle)
    if not same:
        raise ChangedFileError(path, "changed while it was read")
