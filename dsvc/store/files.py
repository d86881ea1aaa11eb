"""The few file-system calls that durability depends on, in one class that a test can replace."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from dsvc.errors import DsvcError, NotFoundError, RefusedError

_HINTS = {
    errno.ENOSPC: "Free some space and run the command again; what was committed before is safe.",
    errno.EDQUOT: "Free some space or raise the quota, and run the command again.",
    errno.EROFS: "The file system is read-only; use a writable copy.",
    errno.EACCES: "Check who owns the file and its folder, and their permissions.",
    errno.EPERM: "Check who owns the file and its folder, and their permissions.",
    errno.EMFILE: "Raise the limit of open files (ulimit -n) and run the command again.",
}
_OTHER_HINT = "Check the disk and the path, and run the command again."
# A pipe in the place of a file would be waited for until somebody writes to it.
_AT_ONCE = getattr(os, "O_NONBLOCK", 0)
_BINARY = getattr(os, "O_BINARY", 0)
_WINDOWS = os.name == "nt"
_seek_lock = threading.Lock()  # stands in for pread where the system has none


def refusal(error: OSError, path: Path) -> DsvcError:
    """What a user is told about a failed call on `path`."""
    if isinstance(error, FileNotFoundError):
        return NotFoundError(f"{path} does not exist")
    reason = error.strerror or str(error)
    return RefusedError(f"{path}: {reason}", _HINTS.get(error.errno or 0, _OTHER_HINT))


@contextlib.contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Turn every OSError of the body into an error that names `path`."""
    try:
        yield
    except OSError as error:
        raise refusal(error, path) from error


def replace_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, in place of what was there; its permissions stay. Raises RefusedError."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    with refusing(path):
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if path.exists():
                temporary.chmod(stat.S_IMODE(path.stat().st_mode))
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


class FileLook(NamedTuple):
    """A file's byte size, and when it was written, in seconds since 1970."""

    size: int
    modified: float


class OsFiles:
    """The operating system's files. Every failure is a NotFoundError or a RefusedError."""

    def make_folder(self, path: Path) -> bool:
        """Create the folder `path`, its parents too; False when it is there already."""
        with refusing(path):
            if path.is_dir():
                return False
            path.mkdir(parents=True, exist_ok=True)
            return True

    def create(self, path: Path) -> int:
        """Create the new file `path` for writing and reading, and return its descriptor."""
        with refusing(path):
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _BINARY, 0o666)

    def write(self, fd: int, path: Path, data: bytes | memoryview) -> None:
        """Append all of `data` to the file behind `fd`."""
        try:
            done = os.write(fd, data)
            while done < len(data):
                done += os.write(fd, memoryview(data)[done:])
        except OSError as error:
            raise refusal(error, path) from error

    def sync(self, fd: int, path: Path) -> None:
        """Return once the file's content is on stable storage."""
        with refusing(path):
            os.fsync(fd)

    def close(self, fd: int) -> None:
        """Close a descriptor. What was synced stays synced, so a failure here means nothing."""
        with contextlib.suppress(OSError):
            os.close(fd)

    def replace(self, source: Path, target: Path) -> None:
        """Rename `source` to `target` in one step, in place of what was there."""
        with refusing(target):
            source.replace(target)

    def sync_folder(self, path: Path) -> None:
        """Return once the folder's entries are on stable storage."""
        if _WINDOWS:  # has no such call; a rename is journalled there
            return
        with refusing(path):
            fd = os.open(path, os.O_RDONLY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    def unlink(self, path: Path) -> None:
        """Remove the file `path`, or do nothing when there is none."""
        with refusing(path):
            path.unlink(missing_ok=True)

    def open(self, path: Path) -> int:
        """Open the file `path` for reading."""
        with refusing(path):
            return os.open(path, os.O_RDONLY | _BINARY | _AT_ONCE)

    def size(self, fd: int, path: Path) -> int:
        """The byte size of an open regular file."""
        with refusing(path):
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(errno.EISDIR, "not a regular file")
            return found.st_size

    def read(self, fd: int, path: Path, offset: int, length: int) -> bytes:
        """The bytes from `offset`; fewer than `length` only where the file ends."""
        try:
            data = _pread(fd, length, offset)
            if len(data) == length:
                return data
            parts = [data]
            while data and sum(map(len, parts)) < length:
                done = sum(map(len, parts))
                data = _pread(fd, length - done, offset + done)
                parts.append(data)
            return b"".join(parts)
        except OSError as error:
            raise refusal(error, path) from error

    def look(self, path: Path) -> FileLook | None:
        """What the system tells of the file `path`, or None when there is none."""
        try:
            found = path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise refusal(error, path) from error
        return FileLook(found.st_size, found.st_mtime)

    def names(self, folder: Path) -> list[str]:
        """The names of the files in `folder`, sorted; none when it does not exist."""
        with refusing(folder):
            if not folder.is_dir():
                return []
            return sorted(entry.name for entry in os.scandir(folder) if entry.is_file())


def _pread(fd: int, length: int, offset: int) -> bytes:
    if not _WINDOWS:
        return os.pread(fd, length, offset)
    with _seek_lock:
        os.lseek(fd, offset, os.SEEK_SET)
        return os.read(fd, length)
