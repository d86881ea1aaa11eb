"""A repository in this process's memory, for tests and for throw-away work."""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Iterator

from dsvc.errors import NotFoundError
from dsvc.store.backend import Upload


class _MemoryUpload:
    def __init__(self, backend: MemoryBackend) -> None:
        self._backend = backend
        self._data = bytearray()
        self._temporary = f"tmp/{secrets.token_hex(16)}"
        backend.files[self._temporary] = b""

    def write(self, data: bytes | memoryview) -> None:
        self._data += data

    def read(self, offset: int, length: int) -> bytes:
        return bytes(self._data[offset : offset + length])

    def finish(self, name: str) -> None:
        self._backend.files[name] = bytes(self._data)
        self._backend.files.pop(self._temporary, None)

    def abort(self) -> None:
        self._backend.files.pop(self._temporary, None)


class MemoryBackend:
    """A dictionary as a backend."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
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
            return self.files[name]
        except KeyError:
            raise NotFoundError(f"{name} does not exist") from None

    def create(self) -> Upload:
        """Begin a new file."""
        return _MemoryUpload(self)

    def delete(self, name: str) -> None:
        """Forget a file."""
        self.files.pop(name, None)

    def names(self, prefix: str = "") -> list[str]:
        """List the names."""
        return sorted(name for name in list(self.files) if name.startswith(prefix))

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
