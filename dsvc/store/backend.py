"""The contract between dsvc and the place where a repository's bytes lie."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

FOLDERS = ("packs", "index", "manifests", "tmp")


class FileInfo(NamedTuple):
    """A file of a backend: its byte size, and when it was written, in seconds since 1970 by the clock of the place."""

    name: str
    size: int
    modified: float


class Upload(Protocol):
    """A new immutable file on its way. Nobody else sees it before `finish`."""

    def write(self, data: bytes | memoryview) -> None:
        """Append `data`."""

    def read(self, offset: int, length: int) -> bytes:
        """Read back what was written so far; may be called from another thread than `write`."""

    def finish(self, name: str) -> None:
        """Make the file visible as `name`, in one step; on return it is durable, and so is its name."""

    def abort(self) -> None:
        """Drop what was written. Does nothing after `finish`, or when called twice."""


class Backend(Protocol):
    """Immutable files by name, and one mutable head.

    Names look like `packs/3f…`. A name is used for one content only, so a file may be cached for ever.
    Every method may be called from several threads.
    """

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """The bytes of a file from `offset`: `length` of them, or all; fewer where the file ends.

        Raises NotFoundError when there is no such file.
        """

    def size(self, name: str) -> int:
        """The byte size of a file. Raises NotFoundError."""

    def create(self) -> Upload:
        """Begin a new file."""

    def delete(self, name: str) -> None:
        """Remove a file, or do nothing when there is none."""

    def delete_all(self, names: Iterable[str]) -> None:
        """Remove files, in as few requests as the place allows. Who is not there is no matter."""

    def names(self, prefix: str = "") -> list[str]:
        """The names of all files that begin with `prefix`, unfinished ones under `tmp/`, sorted.

        For `check` and `gc` only: no read or write of a repository ever lists.
        """

    def files(self, prefix: str = "") -> list[FileInfo]:
        """What `names` lists, with what the place tells of each file."""

    def clock(self) -> float:
        """The time now, in seconds since 1970, by the clock that `files` goes by, which need not be this machine's."""

    def read_head(self) -> bytes | None:
        """The head's present bytes, never cached; None where no repository was created."""

    def swap_head(self, expected: bytes | None, new: bytes) -> bool:
        """Put `new` in place of `expected`, in one step; False when the head is something else.

        Durable once it returned True. When it raises, either may be the case: read the head to learn which.
        """

    def turn(self) -> AbstractContextManager[None]:
        """Hold off other local writers' swaps, so that who lost a race wins the next one.

        `swap_head` may be called inside by the same thread. Where there is no such lock, it does nothing.
        """
