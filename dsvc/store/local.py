"""A repository in a folder of a local file system."""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from pathlib import Path

from dsvc.errors import NotFoundError
from dsvc.store.backend import FOLDERS, FileInfo, Upload
from dsvc.store.files import OsFiles, refusing
from dsvc.store.locks import prove_lock, take_lock

_OPEN_FILES = 64
_HEAD_LIMIT = 1 << 20


class _OpenFile:
    """An open descriptor that closes with its last user, so that evicting it disturbs no reader."""

    def __init__(self, files: OsFiles, path: Path) -> None:
        self._files = files
        self.path = path
        self.fd = -1
        self.fd = files.open(path)
        self.size = files.size(self.fd, path)

    def __del__(self) -> None:
        if self.fd >= 0:
            self._files.close(self.fd)


class _LocalUpload:
    """A temporary file that `finish` syncs and renames into place."""

    def __init__(self, files: OsFiles, root: Path) -> None:
        self._files = files
        self._root = root
        self.path = root / "tmp" / secrets.token_hex(16)
        self._fd = files.create(self.path)
        self._open = True

    def write(self, data: bytes | memoryview) -> None:
        self._files.write(self._fd, self.path, data)

    def read(self, offset: int, length: int) -> bytes:
        return self._files.read(self._fd, self.path, offset, length)

    def finish(self, name: str) -> None:
        target = self._root / name
        self._files.sync(self._fd, self.path)
        self._close()
        try:
            self._files.replace(self.path, target)
        except BaseException:
            with contextlib.suppress(Exception):
                self._files.unlink(self.path)
            raise
        self._files.sync_folder(target.parent)

    def _close(self) -> None:
        # The system gives the number to the next file that is opened: who still used it would read or write that one.
        fd, self._fd, self._open = self._fd, -1, False
        self._files.close(fd)

    def abort(self) -> None:
        if self._open:
            self._close()
            with contextlib.suppress(Exception):
                self._files.unlink(self.path)


class LocalBackend:
    """The folder `root` (usually `.dsvc`) as a backend. Reading creates nothing."""

    def __init__(self, root: Path | str, files: OsFiles | None = None) -> None:
        self.root = Path(root)
        self._files = files or OsFiles()
        self._cache: OrderedDict[str, _OpenFile] = OrderedDict()
        self._cache_lock = threading.Lock()
        self._prepared = False
        self.one_machine = False  # whether only this machine writes here, so that locks need not reach others
        self._proving = threading.Lock()
        self._is_proven = False  # whether locks were seen to work
        self._turn = threading.RLock()
        self._turn_depth = 0

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Read through a small cache of open files."""
        file = self._opened(name)
        wanted = file.size - offset if length is None else min(length, file.size - offset)
        return self._files.read(file.fd, file.path, offset, wanted) if wanted > 0 else b""

    def size(self, name: str) -> int:
        """The byte size of a file."""
        return self._opened(name).size

    def _opened(self, name: str) -> _OpenFile:
        with self._cache_lock:
            file = self._cache.get(name)
            if file is not None:
                self._cache.move_to_end(name)
                return file
        file = _OpenFile(self._files, self.root / name)
        with self._cache_lock:
            self._cache[name] = file
            if len(self._cache) > _OPEN_FILES:
                self._cache.popitem(last=False)
        return file

    def create(self) -> Upload:
        """Begin a temporary file under `tmp/`. Raises RefusedError where locks don't work."""
        self._prepare()
        self._prove_lock()
        return _LocalUpload(self._files, self.root)

    def _prepare(self) -> None:
        """Make the folders once, and make them last: a synced file in a lost folder is lost."""
        if self._prepared:
            return
        # Whoever made the folders before may have died before syncing them; a head says they were synced.
        fresh = self.read_head() is None
        self._make_lasting(self.root, fresh)
        for folder in FOLDERS:
            self._make_lasting(self.root / folder, fresh)
        self._prepared = True

    def _make_lasting(self, folder: Path, fresh: bool) -> None:
        missing = [folder]
        while not missing[-1].parent.is_dir() and missing[-1].parent != missing[-1]:
            missing.append(missing[-1].parent)
        for path in reversed(missing):
            if self._files.make_folder(path) or fresh:
                self._files.sync_folder(path.parent)

    def delete(self, name: str) -> None:
        """Remove a file; readers that have it open keep it."""
        with self._cache_lock:
            self._cache.pop(name, None)
        self._files.unlink(self.root / name)

    def delete_all(self, names: Iterable[str]) -> None:
        """Remove files one by one."""
        for name in names:
            self.delete(name)

    def names(self, prefix: str = "") -> list[str]:
        """List the files of the repository's folders."""
        found = [f"{folder}/{name}" for folder in FOLDERS for name in self._files.names(self.root / folder)]
        return sorted(name for name in found if name.startswith(prefix))

    def files(self, prefix: str = "") -> list[FileInfo]:
        """List the files with what the file system says of them; those that went meanwhile are left out."""
        found = ((name, self._files.look(self.root / name)) for name in self.names(prefix))
        return [FileInfo(name, look.size, look.modified) for name, look in found if look is not None]

    def clock(self) -> float:
        """The time of the file system, which may be another machine's: that of a file made now."""
        self._prepare()
        upload = _LocalUpload(self._files, self.root)
        try:
            look = self._files.look(upload.path)
        finally:
            upload.abort()
        return look.modified if look is not None else time.time()

    def read_head(self) -> bytes | None:
        """Read the head file anew."""
        try:
            file = _OpenFile(self._files, self.root / "head")
        except NotFoundError:
            return None
        return self._files.read(file.fd, file.path, 0, min(file.size, _HEAD_LIMIT))

    def swap_head(self, expected: bytes | None, new: bytes) -> bool:
        """Compare and rename, under the lock."""
        with self.turn():
            if self.read_head() != expected:
                return False
            upload = self.create()
            try:
                upload.write(new)
                upload.finish("head")
            finally:
                upload.abort()
            return True

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the lock file; the same thread may enter again. Raises RefusedError where locks don't work."""
        with self._turn:
            fd = self._take_lock() if self._turn_depth == 0 else -1
            self._turn_depth += 1
            try:
                yield
            finally:
                self._turn_depth -= 1
                if fd >= 0:
                    os.close(fd)  # gives up the lock with it

    def _take_lock(self) -> int:
        self._prepare()
        self._prove_lock()
        path = self.root / "lock"
        with refusing(path):
            return _locked(path)

    def _prove_lock(self) -> None:
        """See once that locking works, before anything is written that only a lock makes safe to publish.

        Nobody in this process holds the lock before that, so that no thread waits here for another.
        """
        with self._proving:
            if self._is_proven:
                return
            path = self.root / "lock"
            with refusing(path):
                fd = _locked(path)
                try:
                    prove_lock(path, self.one_machine)
                finally:
                    os.close(fd)
            self._is_proven = True


def _locked(path: Path) -> int:
    """The lock file, open and locked. It is never renamed or removed: a lock on a replaced file would guard nothing."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        take_lock(fd, path)
    except BaseException:
        os.close(fd)
        raise
    return fd
