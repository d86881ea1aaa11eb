"""A shelf: a bounded folder of copies of a distant place's files, which several processes share.

Losing any of it loses nothing. An entry is its content and a checksum; one that is not what was written is dropped.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from pathlib import Path

import xxhash

_CHECK = 8
_PIECE = 1 << 20
_MEMORY = 256 << 20  # bytes that are kept where there is no folder
_SWEEP_EVERY = 3600  # seconds
_SWEPT = "swept"


class Shelf:
    """Copies of files by name, in a folder, or in memory where there is none. May be used from several threads.

    A folder below `root` that holds more than `limit` bytes loses what was used longest ago. No failure of the disk
    is an error: then there is no copy.
    """

    def __init__(self, folder: Path | None, limit: int, root: Path | None = None) -> None:
        self.folder = folder
        self._root = root or folder
        self._limit = limit
        self._lock = threading.Lock()
        self._sizes: dict[str, int] = {}  # of entries that this process has verified
        self._held: OrderedDict[str, bytes] = OrderedDict()
        self._written = 0

    def size(self, name: str) -> int | None:
        """The byte size of a copy, verified once; None where there is none."""
        if self.folder is None:
            held = self._held.get(name)
            return None if held is None else len(held)
        known = self._sizes.get(name)
        return known if known is not None else self._verify(name, self.folder / name)

    def _verify(self, name: str, path: Path) -> int | None:
        check = _checker(name)
        try:
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size - _CHECK
                left = max(size, 0)
                while left > 0 and (piece := file.read(min(_PIECE, left))):
                    check.update(piece)
                    left -= len(piece)
                right = size >= 0 and left == 0 and file.read() == check.digest()
            if right:
                os.utime(path)
        except OSError:
            return None
        if not right:
            self.drop((name,))
            return None
        self._sizes[name] = size
        return size

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes | None:
        """The bytes of a copy from `offset`: `length` of them, or all; None where there is no copy."""
        size = self.size(name)
        if size is None:
            return None
        end = size if length is None else min(offset + length, size)
        if self.folder is None:
            data = self._held.get(name)
            return None if data is None else data[offset:end]
        try:
            with (self.folder / name).open("rb", buffering=0) as file:
                file.seek(offset)
                found = file.read(max(end - offset, 0))
        except OSError:  # another process has taken it away
            self._sizes.pop(name, None)
            return None
        return found if len(found) == max(end - offset, 0) else None

    def put(self, name: str, data: bytes) -> None:
        """Keep a copy. It is there whole or not at all, whenever this process ends."""
        if self.folder is None:
            self._hold(name, data)
            return
        path = self.folder / name
        temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("xb") as file:
                file.write(data)
                file.write(_checker(name, data).digest())
            temporary.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            return
        self._sizes[name] = len(data)
        self._written += len(data)
        if self._written > self._limit // 16 or self._is_time_to_sweep():
            self._written = 0
            self.sweep()

    def _hold(self, name: str, data: bytes) -> None:
        with self._lock:
            self._written += len(data) - len(self._held.get(name, b""))
            self._held[name] = data
            while self._written > min(_MEMORY, self._limit) and len(self._held) > 1:
                self._written -= len(self._held.popitem(last=False)[1])

    def drop(self, names: Iterable[str]) -> None:
        """Keep no copies of these."""
        for name in names:
            self._sizes.pop(name, None)
            if self.folder is None:
                with self._lock:
                    self._written -= len(self._held.pop(name, b""))
            else:
                with contextlib.suppress(OSError):
                    (self.folder / name).unlink(missing_ok=True)

    def names(self, kind: str) -> list[str]:
        """The names of the copies of one kind, which is what their names begin with, up to the slash."""
        if self.folder is None:
            return [name for name in list(self._held) if name.startswith(f"{kind}/")]
        try:
            return [f"{kind}/{path.name}" for path in (self.folder / kind).iterdir()]
        except OSError:
            return []

    def _is_time_to_sweep(self) -> bool:
        """Whether no process has looked at the size for an hour."""
        assert self._root is not None
        try:
            return time.time() - (self._root / _SWEPT).stat().st_mtime > _SWEEP_EVERY
        except OSError:
            return True

    def sweep(self) -> None:
        """Remove what was used longest ago until all is within three quarters of the limit, if it was beyond it."""
        if self._root is None:
            return
        with contextlib.suppress(OSError):
            (self._root / _SWEPT).write_bytes(b"")
        found = sorted(_files(self._root))
        total = sum(size for _, size, _ in found)
        if total <= self._limit:
            return
        for _, size, path in found:
            if total <= self._limit * 3 // 4:
                break
            with contextlib.suppress(OSError):
                path.unlink()
                total -= size


def _checker(name: str, data: bytes = b"") -> xxhash.xxh3_64:
    """What the checksum of an entry begins with: its name, so that none passes for another."""
    check = xxhash.xxh3_64(name.encode())
    check.update(data)
    return check


def _files(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """When each file below a folder was used last, its size and its path."""
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            with contextlib.suppress(OSError):
                found = path.stat()
                yield found.st_mtime, found.st_size, path
