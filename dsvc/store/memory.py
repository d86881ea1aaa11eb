"""A repository in this process's memory, for tests and for throw-away work."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator

from dsvc.errors import NotFoundError
from dsvc.store.backend import FileInfo, Upload


class _MemoryUpload:
    def __init__(self, backend: MemoryBackend) -> None:
        self._backend = backend
        self._data = bytearray()
        self._temporary = f"tmp/{secrets.token_hex(16)}"
        backend.keep(self._temporary, b"")

    def write(self, data: bytes | memoryview) -> None:
        self._data += data

    def read(self, offset: int, length: int) -> bytes:
        return bytes(self._data[offset : offset + length])

    def finish(self, name: str) -> None:
        self._backend.keep(name, bytes(self._data))
        self._backend.delete(self._temporary)

    def abort(self) -> None:
        self._backend.delete(self._temporary)


class MemoryBackend:
    """A dictionary as a backend."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}
        self.times: dict[str, float] = {}
        self.clock: Callable[[], float] = time.time
        self.head: bytes | None = None
        self._turn = threading.RLock()

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Slice a file."""
        data = self._file(name)
        return data[offset:] if length is None else data[offset : offset + length]

    def size(self, name: str) -> int:
        """The byte size of a file."""
        return len(self._file(name))

    def _file(self, name: str) -> bytes:
        try:
            return self.held[name]
        except KeyError:
            raise NotFoundError(f"{name} does not exist") from None

    def create(self) -> Upload:
        """Begin a new file."""
        return _MemoryUpload(self)

    def delete(self, name: str) -> None:
        """Forget a file."""
        self.held.pop(name, None)
        self.times.pop(name, None)

    def delete_all(self, names: Iterable[str]) -> None:
        """Forget files."""
        for name in names:
            self.delete(name)

    def keep(self, name: str, data: bytes) -> None:
        """Hold a file."""
        self.times[name] = self.clock()
        self.held[name] = data

    def names(self, prefix: str = "") -> list[str]:
        """List the names."""
        return sorted(name for name in list(self.held) if name.startswith(prefix))

    def files(self, prefix: str = "") -> list[FileInfo]:
        """List the files."""
        return [FileInfo(name, len(self.held[name]), self.times.get(name, 0.0)) for name in self.names(prefix)]

    def read_head(self) -> bytes | None:
        """The head's bytes."""
        return self.head

    def swap_head(self, expected: bytes | None, new: bytes) -> bool:
        """Compare and set, under a lock."""
        with self._turn:
            if self.head != expected:
                return False
            self.head = new
            return True

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the lock that `swap_head` takes."""
        with self._turn:
            yield
