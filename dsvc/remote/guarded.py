"""A remote's backend, of which every failure tells whose it is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from dsvc.errors import (
    CollectedError,
    DamagedError,
    NotRepositoryError,
    RefusedError,
    RemoteError,
    UnsupportedFormatError,
)
from dsvc.store.backend import Backend, FileInfo, Upload

_LOCK_HINT = "mount it with locking, or name a remote on another disk; fetching works as it is"
_DAMAGE_HINT = "run dsvc check there, and push again from a clone that is whole; nothing was changed here"


class OwnDamageError(DamagedError):
    """Damage of this repository, found while a remote is written to."""


@contextlib.contextmanager
def blaming(name: str) -> Iterator[None]:
    """Turn what the body finds wrong with a remote's objects into errors that name the remote."""
    try:
        yield
    except (OwnDamageError, CollectedError):
        raise
    except (DamagedError, NotRepositoryError) as error:
        raise RemoteError(f"remote {name}: {error.message}", _DAMAGE_HINT) from error
    except UnsupportedFormatError as error:
        raise RemoteError(f"remote {name}: {error.message}", "upgrade dsvc: a newer one wrote it") from error


@contextlib.contextmanager
def owning() -> Iterator[None]:
    """Keep what the body finds damaged in this repository from being blamed on a remote."""
    try:
        yield
    except DamagedError as error:
        raise OwnDamageError(error.message, error.hint) from error


@contextlib.contextmanager
def _refusals(name: str) -> Iterator[None]:
    try:
        yield
    except RefusedError as error:
        # The settings that a hint names are those of this repository's own disk.
        hint = _LOCK_HINT if error.message.startswith("locks ") else error.hint
        raise RemoteError(f"remote {name}: {error.message}", hint) from error


class _GuardedUpload:
    def __init__(self, upload: Upload, name: str) -> None:
        self._upload = upload
        self._name = name

    def write(self, data: bytes | memoryview) -> None:
        with _refusals(self._name):
            self._upload.write(data)

    def read(self, offset: int, length: int) -> bytes:
        with _refusals(self._name):
            return self._upload.read(offset, length)

    def finish(self, name: str) -> None:
        with _refusals(self._name):
            self._upload.finish(name)

    def abort(self) -> None:
        self._upload.abort()


class GuardedBackend:
    """The backend of the remote `name`: what it refuses is a RemoteError. That a file is not there stays what it is."""

    def __init__(self, backend: Backend, name: str) -> None:
        self._backend = backend
        self._name = name

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Read a file."""
        with _refusals(self._name):
            return self._backend.read(name, offset, length)

    def size(self, name: str) -> int:
        """The byte size of a file."""
        with _refusals(self._name):
            return self._backend.size(name)

    def create(self) -> Upload:
        """Begin a new file."""
        with _refusals(self._name):
            return _GuardedUpload(self._backend.create(), self._name)

    def delete(self, name: str) -> None:
        """Remove a file."""
        with _refusals(self._name):
            self._backend.delete(name)

    def delete_all(self, names: Iterable[str]) -> None:
        """Remove files."""
        with _refusals(self._name):
            self._backend.delete_all(names)

    def files(self, prefix: str = "") -> list[FileInfo]:
        """List the files, and what the place tells of them."""
        with _refusals(self._name):
            return self._backend.files(prefix)

    def clock(self) -> float:
        """The time at the remote."""
        with _refusals(self._name):
            return self._backend.clock()

    def names(self, prefix: str = "") -> list[str]:
        """List the files."""
        with _refusals(self._name):
            return self._backend.names(prefix)

    def read_head(self) -> bytes | None:
        """The head's bytes."""
        with _refusals(self._name):
            return self._backend.read_head()

    def swap_head(self, expected: bytes | None, new: bytes) -> bool:
        """Compare and swap the head."""
        with _refusals(self._name):
            return self._backend.swap_head(expected, new)

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Hold off other writers, where there is a lock for that."""
        with contextlib.ExitStack() as stack:
            with _refusals(self._name):
                stack.enter_context(self._backend.turn())
            yield
