"""The files of a project folder: finding them in a fixed order, and reading them safely and side by side.

What cannot be taken (links out, pipes, unreadable files, names that are no keys) is reported by name and
passed over; nothing that blocks is ever waited for, and no file is taken that changes while it is read.
"""

from __future__ import annotations

import errno
import itertools
import os
import stat
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from dsvc.core.keys import check_key, display
from dsvc.core.media import MediaFacts, probe
from dsvc.errors import NotFoundError, RefusedError
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
_OPEN_FLAGS = os.O_RDONLY
for _flag in ("O_NONBLOCK", "O_NOFOLLOW", "O_NOCTTY", "O_CLOEXEC", "O_BINARY"):
    _OPEN_FLAGS |= getattr(os, _flag, 0)
_OWN_FOLDERS = frozenset({".git", ".dsvc"})
_KINDS = {stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket", stat.S_IFDIR: "a folder"}

Stamp = tuple[int, int, int, int]


class ChangedFileError(RefusedError):
    """A file changed while it was read, so that its bytes are those of no one moment."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that was passed over, and why."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{display(str(self.path))}: {self.reason}"


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A regular file: its input key, where its bytes lie (a link's target), and its size in bytes when found."""

    key: str
    path: Path
    size: int


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file's bytes, id and facts; those of a large one are None, and `pieces` streams it. Size in bytes."""

    key: str
    path: Path
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
            raise ChangedFileError(f"{display(str(self.path))}: {_reason(error)}") from error


Report = Callable[[Problem], None]


class FoundFiles(Iterator[FoundFile]):
    """The files under some paths, in the order of their keys below each; `hidden` counts what was passed over.

    `hidden` is the number of dot files and dot folders met so far, a folder being one, `.git` and `.dsvc` none.
    """

    def __init__(self, starts: list[str], root: str, report: Report) -> None:
        self.hidden = 0
        self._prefix = root if root.endswith(os.sep) else root + os.sep
        self._report = report
        self._seen: set[str] | None = set() if len(starts) > 1 else None
        self._files = (file for start in starts for file in self._walk(start))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> FoundFile:
        return next(self._files)

    def _walk(self, start: str) -> Iterator[FoundFile]:
        stack: list[Iterator[os.DirEntry[str]]] = []
        if Path(start).is_dir():
            stack.append(self._entries(start))
        else:
            yield from filter(None, [self._take(start, Path(start).is_symlink(), self._prefix)])
        while stack:
            entry = next(stack[-1], None)
            if entry is None:
                stack.pop()
            elif entry.is_dir(follow_symlinks=False):
                stack.append(self._entries(entry.path))
            elif file := self._take(entry.path, entry.is_symlink(), start):
                yield file

    def _entries(self, folder: str) -> Iterator[os.DirEntry[str]]:
        """What a folder holds, sorted so that the walk meets keys in their order."""
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=_place)
        except OSError as error:
            self._problem(folder, _reason(error))
            return
        for entry in entries:
            if not entry.name.startswith("."):
                yield entry
            elif entry.name not in _OWN_FOLDERS:
                self.hidden += 1

    def _take(self, path: str, is_link: bool, within: str) -> FoundFile | None:
        """The file at `path`, or None if it may not be taken; a link must end in the folder `within`."""
        try:
            target = os.path.realpath(path) if is_link else path
            wrong = self._wrong_target(target, within) if is_link else None
            status = os.lstat(target)
            wrong = wrong or _wrong_kind(status.st_mode, is_link)
            key = check_key(path.removeprefix(self._prefix).replace(os.sep, "/"))
        except OSError as error:
            wrong = _reason(error)
        except RefusedError as error:
            wrong = error.message
        if wrong:
            self._problem(path, wrong)
            return None
        return FoundFile(key, Path(target), status.st_size) if self._is_new(key) else None

    def _wrong_target(self, target: str, within: str) -> str | None:
        if not _inside(target, within):
            return f"is a link that leads out of the folder, to {display(target)}"
        if _OWN_FOLDERS.intersection(Path(target.removeprefix(self._prefix)).parts):
            return f"is a link into {display(target)}, which is no data"
        return None

    def _is_new(self, key: str) -> bool:
        if self._seen is None:
            return True
        before = len(self._seen)
        self._seen.add(key)
        return len(self._seen) > before

    def _problem(self, path: str, reason: str) -> None:
        self._report(Problem(Path(path), reason))


def find_files(paths: Iterable[Path], root: Path, *, report: Report) -> FoundFiles:
    """The regular files at and under `paths`, each once; keys are relative to `root`.

    Raises, before anything is yielded, NotFoundError for a path that doesn't exist and RefusedError for one
    outside `root` or in a `.dsvc` folder. What else cannot be taken goes to `report`. Inside folders, dot
    files and dot folders are passed over (named themselves, they are taken), links to files are followed when
    they stay in the folder, and links to folders never.
    """
    base = os.path.realpath(root)
    return FoundFiles([_start(os.fspath(path), base) for path in paths], base, report)


def _start(path: str, base: str) -> str:
    """Where `path` really lies, its last part as spelled when that is a link to a file."""
    shown = display(path)
    try:
        mode = os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise NotFoundError(f"{shown}: there is no such file or folder") from error
    except OSError as error:
        raise RefusedError(f"{shown}: {_reason(error)}") from error
    whole = stat.S_ISDIR(mode) or Path(path).is_dir()
    head, tail = os.path.split(path)
    real = os.path.realpath(path) if whole else str(Path(os.path.realpath(head), tail))
    if not _inside(real, base):
        hint = "name a folder that holds it with --root, or leave the bytes there and use --reference"
        raise RefusedError(f"{shown}: lies outside {display(base)}", hint)
    if ".dsvc" in Path(os.path.relpath(real, base)).parts:
        raise RefusedError(f"{shown}: belongs to the repository itself", "name the files that are data")
    return real


def _place(entry: os.DirEntry[str]) -> str:
    return entry.name + "/" if entry.is_dir(follow_symlinks=False) else entry.name


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder if folder.endswith(os.sep) else folder + os.sep)


def _wrong_kind(mode: int, is_link: bool = False) -> str | None:
    if stat.S_ISREG(mode):
        return None
    kind = _KINDS.get(stat.S_IFMT(mode), "a device")
    return f"is {'a link to ' if is_link else ''}{kind}, and only regular files are read"


def _reason(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "is a link that leads in a circle, or became one while it was read"
    if error.errno == errno.ENOENT:
        return "is not there any more, or a link to nothing"
    return f"cannot be read: {error.strerror or error}"


def read_files(found: Iterable[FoundFile], *, report: Report, large: int = LARGE) -> Iterator[ReadFile]:
    """Read, hash and probe files, in order; in threads, at most some 80 MB ahead, while storage is slow.

    A file over `large` bytes comes without data and id. One that cannot be read, is no regular file any more,
    or changes in both of two attempts goes to `report`, in the caller's thread, and the others go on.
    """
    batches = _batches(found)
    for batch in batches:
        pace = _Pace()
        for file in batch:
            yield from _sorted_out([pace.read(file, large)], report)
        if pace.is_slow():
            yield from _read_ahead(itertools.islice(batches, _AHEAD_FOR), report, large)


class _Pace:
    """Reads files here and now, and tells whether that has mostly been waiting.

    Handing small files that the system has in memory from thread to thread was measured to cost more than all
    of reading and hashing them; threads pay where a file has to be waited for.
    """

    def __init__(self) -> None:
        self._spent = self._allowed = 0.0

    def read(self, file: FoundFile, large: int) -> ReadFile | Problem:
        start = time.perf_counter()
        result = _read(file, large)
        self._spent += time.perf_counter() - start
        self._allowed += _FAST_FILE + file.size * _FAST_BYTE
        return result

    def is_slow(self) -> bool:
        return self._spent > self._allowed


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
        size += min(file.size, _BATCH_BYTES)
        if len(batch) >= _BATCH_FILES or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


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
        return Problem(file.path, _reason(error))
    return result or Problem(file.path, "changes while it is read")


def _attempt(file: FoundFile, large: int) -> ReadFile | None:
    """One reading of a file; None if it changed meanwhile."""
    handle = _open(file.path)
    try:
        before = os.fstat(handle)
        wrong = _wrong_kind(before.st_mode)
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


def _open(path: Path) -> int:
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


def _stream(path: Path, stamp: Stamp) -> Iterator[bytes]:
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
        raise ChangedFileError(f"{display(str(path))}: changed while it was read", "add it again when it is at rest")
