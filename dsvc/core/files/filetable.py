"""The stat cache: what the tracked folders held when they were last looked at, and the ids of the bytes that were read.

It can be made anew at any time: a table that is absent or damaged is an empty one. A file is known by its size, mtime
and inode. One that was written within the clock's grain of the moment in which it was read has a stamp that is never
found, so that it is read again: an edit in the same instant would leave no trace.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from msgpack import packb, unpackb
from xxhash import xxh3_64_digest

from dsvc.core.files.choosing import TAKEN
from dsvc.core.files.scanning import STAMP, UNSURE, Stamp, packed

NO_BLOB = bytes(32)
# Nanoseconds: the coarsest clock of a file system (FAT's) steps by two seconds.
GRAIN = 2_000_000_000
_MAGIC = b"dsvcfiles2"
_BLOB = 32
_STALE = 3600  # seconds after which a file that is being written is one that a killed process left


class Folder:
    """What one folder held: parallel lists of its files' names, stamps, kinds (see `choosing`) and blob ids.

    Folders in it apart, all that it holds is a file here. `digest` is that of the rules which gave the kinds.
    """

    __slots__ = ("_places", "blobs", "digest", "kinds", "names", "passed", "stamps")

    def __init__(
        self,
        names: bytes,
        stamps: bytes | bytearray,
        kinds: bytes,
        blobs: bytes | bytearray,
        digest: bytes,
    ) -> None:
        self.names = names
        self.stamps = stamps
        self.kinds = kinds
        self.blobs = blobs
        self.digest = digest
        # The kinds of the folders in it that were passed over at this look. They are not kept.
        self.passed = b""
        self._places: dict[str, int] | None = None

    @property
    def places(self) -> dict[str, int]:
        """The index of each name."""
        if self._places is None:
            self._places = {name: at for at, name in enumerate(self.listed())}
        return self._places

    def listed(self) -> list[str]:
        """The names."""
        return self.names.decode("utf-8", "surrogateescape").split("\0") if self.names else []

    def stamp(self, at: int) -> Stamp:
        """Size, mtime and inode of a file."""
        return tuple(memoryview(self.stamps)[at * STAMP : (at + 1) * STAMP].cast("q"))  # type: ignore[return-value]

    def blob(self, at: int) -> bytes:
        """The id of a file's bytes; NO_BLOB where they were not read."""
        return bytes(self.blobs[at * _BLOB : (at + 1) * _BLOB])

    def entries(self) -> Iterator[tuple[str, int, bytes]]:
        """The files: name, kind, and the id of the bytes or NO_BLOB."""
        blobs = bytes(self.blobs)
        for at, (name, kind) in enumerate(zip(self.listed(), self.kinds, strict=True)):
            yield name, kind, blobs[at * _BLOB : (at + 1) * _BLOB]

    def learn(self, at: int, stamp: Stamp, blob: bytes) -> None:
        """Note the id of a file's bytes; its stamp is that at the reading, or UNSURE where it can't be relied on."""
        if not isinstance(self.stamps, bytearray) or not isinstance(self.blobs, bytearray):
            self.stamps, self.blobs = bytearray(self.stamps), bytearray(self.blobs)
        self.stamps[at * STAMP : (at + 1) * STAMP] = packed(stamp)
        self.blobs[at * _BLOB : (at + 1) * _BLOB] = blob


class Found(NamedTuple):
    """A file of the table."""

    folder: Folder
    at: int

    @property
    def blob(self) -> bytes:
        """The id of its bytes; NO_BLOB where they were not read."""
        return self.folder.blob(self.at)

    @property
    def stamp(self) -> Stamp:
        """Size, mtime and inode."""
        return self.folder.stamp(self.at)

    @property
    def kind(self) -> int:
        """What becomes of it."""
        return self.folder.kinds[self.at]

    @property
    def is_taken(self) -> bool:
        """Whether it is one to take."""
        return self.kind == TAKEN


class FileTable:
    """Folders by their path below the project's root ("" for the root). `version` changes with what the table says."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.folders: dict[str, Folder] = {}
        self.version = secrets.token_bytes(8)
        self.is_changed = False
        kept: Any = load_cache(path) if path is not None else None
        with contextlib.suppress(Exception):  # whatever is wrong with it, it is no more than a cache
            version, folders = kept
            self.folders = {path: Folder(*fields) for path, fields in folders.items()}
            self.version = version

    def find(self, path: str) -> Found | None:
        """A file by its path."""
        folder, _, name = path.rpartition("/")
        held = self.folders.get(folder)
        at = held.places.get(name) if held is not None else None
        return Found(held, at) if held is not None and at is not None else None

    def learn(self, found: Found, stamp: Stamp, blob: bytes, read_at: int) -> None:
        """Note what was read of a file that began to be read at a time, in nanoseconds."""
        found.folder.learn(found.at, stamp if stamp[1] < read_at - GRAIN else UNSURE, blob)
        self.touch()

    def touch(self) -> None:
        """Note that the table has changed."""
        if not self.is_changed:
            self.version, self.is_changed = secrets.token_bytes(8), True

    def save(self) -> None:
        """Write the table if it has changed. Where it can't be written, the next look costs more, and that is all."""
        if not self.is_changed or self._path is None:
            return
        folders = {path: (f.names, f.stamps, f.kinds, f.blobs, f.digest) for path, f in self.folders.items()}
        save_cache(self._path, [self.version, folders])
        self.is_changed = False


def now() -> int:
    """The time in nanoseconds, as files are stamped."""
    return time.time_ns()


# ---- files of the cache: a checksum, then what they hold; replaced whole


def load_cache(path: Path) -> Any:
    """What a file of the cache holds, or None."""
    data = _read(path)
    if data is None:
        return None
    try:
        return unpackb(data, strict_map_key=False, unicode_errors="surrogateescape")
    except Exception:  # whatever is wrong with it, it is no more than a cache
        return None


def save_cache(path: Path, value: Any) -> None:
    """Write a file of the cache, if that is possible."""
    body = packb(value, unicode_errors="surrogateescape")
    write_cache(path, _MAGIC + xxh3_64_digest(body) + body)


def _read(path: Path) -> memoryview | None:
    try:
        data = path.read_bytes()
    except OSError:
        return None
    head = len(_MAGIC) + 8
    body = memoryview(data)[head:]
    if not data.startswith(_MAGIC) or xxh3_64_digest(body) != data[len(_MAGIC) : head]:
        return None
    return body


def write_cache(path: Path, data: bytes) -> None:
    """Replace a file of the cache by these very bytes, if that is possible."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(data)
        os.replace(temporary, path)  # noqa: PTH105 - one call is all there is to it
        for left in path.parent.glob(f"{path.name}.*.tmp"):
            if left.stat().st_mtime < time.time() - _STALE:
                left.unlink()
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
