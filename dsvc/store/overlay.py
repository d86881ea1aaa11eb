"""An overlay: what changes would make of a repository, which stays as it is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from dsvc.errors import NotFoundError
from dsvc.store.backend import Backend, FileInfo, Upload


class _OverlaidUpload:
    def __init__(self, overlay: Overlay, upload: Upload) -> None:
        self._overlay = overlay
        self._upload = upload

    def write(self, data: bytes | memoryview) -> None:
        self._upload.write(data)

    def read(self, offset: int, length: int) -> bytes:
        return self._upload.read(offset, length)

    def finish(self, name: str) -> None:
        self._upload.finish(name)
        self._overlay.gone.discard(name)

    def abort(self) -> None:
        self._upload.abort()


class Overlay:
    """A backend that reads from another one, and writes to a second one that is thrown away."""

    def __init__(self, below: Backend, scratch: Backend) -> None:
        """`scratch` is empty, and nobody else writes to it."""
        self._below = below
        self._scratch = scratch
        self.gone: set[str] = set()
        self._head = below.read_head()

    def _of(self, name: str) -> Backend:
        """The backend that has a file. Raises NotFoundError where it was removed."""
        if name in self.gone:
            raise NotFoundError(f"{name} does not exist")
        try:
            self._scratch.size(name)
        except NotFoundError:
            return self._below
        return self._scratch

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Read a file."""
        return self._of(name).read(name, offset, length)

    def size(self, name: str) -> int:
        """The byte size of a file."""
        return self._of(name).size(name)

    def create(self) -> Upload:
        """Begin a new file."""
        return _OverlaidUpload(self, self._scratch.create())

    def delete(self, name: str) -> None:
        """Act as if a file were removed."""
        self.gone.add(name)

    def delete_all(self, names: Iterable[str]) -> None:
        """Act as if files were removed."""
        self.gone.update(names)

    def names(self, prefix: str = "") -> list[str]:
        """The names of the files of both."""
        both = {*self._below.names(prefix), *self._scratch.names(prefix)}
        return sorted(both - self.gone)

    def files(self, prefix: str = "") -> list[FileInfo]:
        """What `names` lists."""
        both = {info.name: info for backend in (self._below, self._scratch) for info in backend.files(prefix)}
        return [both[name] for name in sorted(both.keys() - self.gone)]

    def clock(self) -> float:
        """The time of the place below."""
        return self._below.clock()

    def read_head(self) -> bytes | None:
        """The head as it would be."""
        return self._head

    def swap_head(self, expected: bytes | None, new: bytes) -> bool:
        """Act as if the head were replaced."""
        if self._head != expected:
            return False
        self._head = new
        return True

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Nobody else writes here."""
        yield
